package child

import (
	"crypto/tls"
	"net/http"

	"github.com/consentgate/consentgate/test/client"
)

// A Proto is what a client speaks to the gateway.
type Proto = client.Proto

// The protocols.
const (
	Plain = client.Plain
	H1    = client.H1
	H2    = client.H2
	H3    = client.H3
)

// Client returns a client that speaks one protocol. The certificates are the
// process's own: nobody vouches for them.
func Client(p Proto) *http.Client {
	c := client.New(p, &tls.Config{InsecureSkipVerify: true})
	if tr, ok := c.Transport.(*http.Transport); ok {
		tr.ReadBufferSize = 64 << 10
	}
	return c
}
