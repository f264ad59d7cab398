// Package client holds what the tests' and tools' HTTP clients have in common:
// the protocols they speak to the gateway, and the cookie of a choice.
package client

import (
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// A Proto is what a client speaks to the gateway.
type Proto string

// The protocols.
const (
	Plain Proto = "http"   // HTTP/1.1 without TLS
	H1    Proto = "http/1" // HTTP/1.1 over TLS
	H2    Proto = "http/2"
	H3    Proto = "http/3" // over QUIC
)

// IsHTTP1 reports whether the protocol is HTTP/1.1, with TLS or without.
func (p Proto) IsHTTP1() bool { return p == Plain || p == H1 }

// New returns a client that speaks one protocol, with an [http.Transport] or an
// [http3.Transport]. It neither asks for compression nor undoes it, and follows no
// redirect.
func New(p Proto, config *tls.Config) *http.Client {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if p == H3 {
		c.Transport = &http3.Transport{TLSClientConfig: config, DisableCompression: true}
		return c
	}
	config.NextProtos = []string{"http/1.1"}
	if p == H2 {
		config.NextProtos = []string{"h2"}
	}
	c.Transport = &http.Transport{
		TLSClientConfig: config, DisableCompression: true, ForceAttemptHTTP2: p == H2, MaxIdleConnsPerHost: 2000,
	}
	return c
}

// Granted returns the pair for the Cookie line of a visitor who granted the
// categories of the built-in policy, or all of them if none is named.
func Granted(p Proto, categories ...string) string {
	sc := policy.Default().Scheme()
	set := sc.Optional()
	if len(categories) > 0 {
		set = 0
		for _, id := range categories {
			set = set.With(sc.Index(id))
		}
	}
	line := (&consent.Resolver{Scheme: sc}).SetCookie(consent.Choice{Granted: set, At: time.Now()}, p != Plain)
	pair, _, _ := strings.Cut(line, ";")
	return pair
}
