package gate

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

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

// Protos are all of them.
var Protos = []Proto{Plain, H1, H2, H3}

// Client returns a client that speaks one protocol. It neither asks for
// compression nor undoes it, follows no redirect, and is closed with the test.
func (g *Gate) Client(t testing.TB, p Proto) *http.Client {
	c := client.New(p, &tls.Config{RootCAs: g.ca.pool})
	c.Timeout = time.Minute
	switch tr := c.Transport.(type) {
	case *http3.Transport:
		t.Cleanup(func() { _ = tr.Close() })
	case *http.Transport:
		t.Cleanup(tr.CloseIdleConnections)
	}
	return c
}

// An Answer is a response read to its end.
type Answer struct {
	*http.Response
	Body string
	Err  error // of reading the body
}

// Ask sends a request; fields are pairs of header names and values.
func Ask(t testing.TB, c *http.Client, method, url string, fields ...string) Answer {
	t.Helper()
	a, err := TryAsk(c, method, url, fields...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// TryAsk is Ask for requests that may get no answer, and for other goroutines
// than the test's.
func TryAsk(c *http.Client, method, url string, fields ...string) (Answer, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return Answer{}, err
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Answer{resp, string(body), err}, nil
}

// Granted returns the pair for the Cookie line of a visitor who granted the
// categories of the built-in policy, or all of them if none is named.
func Granted(p Proto, categories ...string) string { return client.Granted(p, categories...) }

// Metric returns the value of one series, given as "name{labels}" in the order
// Prometheus writes them; 0 if it is absent.
func (g *Gate) Metric(t testing.TB, series string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + g.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// Eventually waits until ok.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
