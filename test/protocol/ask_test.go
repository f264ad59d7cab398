package protocol

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// An env is where one row runs: a stack, a protocol, and a client for it.
type env struct {
	*testing.T
	w *world
	s stack
	p gate.Proto
	c *http.Client
}

// protoNames are the protocols as they stand in the names of subtests.
var protoNames = map[gate.Proto]string{gate.Plain: "plain", gate.H1: "h1", gate.H2: "h2", gate.H3: "h3"}

// each runs f for every protocol and stack.
func each(t *testing.T, w *world, list []stack, f func(e env)) {
	for _, p := range gate.Protos {
		c := w.Client(t, p)
		for _, s := range list {
			t.Run(protoNames[p]+"/"+s.name, func(t *testing.T) { f(env{t, w, s, p, c}) })
		}
	}
}

// An answer is a response read to its end.
type answer struct {
	gate.Answer
	page      string // the body without the coding the client accepted
	decodeErr error  // of undoing that
	early     []early
}

// early is an informational answer.
type early struct {
	status int
	header http.Header
}

// get asks the gated site of the stack.
func (e env) get(path string, fields ...string) answer {
	e.Helper()
	return e.ask(http.MethodGet, e.s.name, path, fields...)
}

// ask asks a site, as a browser that navigates would unless the fields say what
// is accepted.
func (e env) ask(method, site, path string, fields ...string) answer {
	e.Helper()
	a, err := e.tryAsk(method, site, path, fields...)
	if err != nil {
		e.Fatalf("%s %s of %s: %v", method, path, site, err)
	}
	return a
}

// tryAsk is ask for requests that may get no answer.
func (e env) tryAsk(method, site, path string, fields ...string) (answer, error) {
	req, seen := e.request(method, site, path, fields...)
	resp, err := e.c.Do(req)
	if err != nil {
		return answer{early: *seen}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{Answer: gate.Answer{Response: resp, Body: string(body), Err: err}, early: *seen}
	e.settle(site, a.Header)
	for _, early := range a.early {
		e.settle(site, early.header)
	}
	a.page, a.decodeErr = decoded(resp.Header, a.Body)
	return a, nil
}

// settle makes the same for all what differs for no reason: Alt-Svc names the
// port of a site, and Caddy lists announced trailers in any order.
func (e env) settle(site string, h http.Header) {
	_, port, _ := net.SplitHostPort(e.w.Addr(gate.H1, site))
	if lines := h["Alt-Svc"]; lines != nil {
		h["Alt-Svc"] = []string{strings.ReplaceAll(lines[0], port, "port")}
	}
	if lines := h["Trailer"]; lines != nil {
		names := strings.Split(strings.Join(lines, ", "), ", ")
		slices.Sort(names)
		h["Trailer"] = names
	}
}

func (e env) request(method, site, path string, fields ...string) (*http.Request, *[]early) {
	req, err := http.NewRequest(method, e.w.URL(e.p, site, path), nil)
	if err != nil {
		e.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] != "" {
			req.Header.Add(fields[i], fields[i+1])
		}
	}
	if req.Header["Accept"] == nil && req.Header["Sec-Fetch-Dest"] == nil {
		req.Header.Set("Accept", "text/html")
	}
	if e.s.encode && req.Header["Accept-Encoding"] == nil {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	seen := new([]early)
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			*seen = append(*seen, early{status, http.Header(header).Clone()})
			return nil
		},
	})), seen
}

// decoded undoes what Content-Encoding says, if it is a coding of these tests.
func decoded(h http.Header, body string) (string, error) {
	coding := h.Get("Content-Encoding")
	if codings[coding] == nil || body == "" {
		return body, nil
	}
	return undo(coding, strings.NewReader(body))
}

// reader reads a body as it comes, without the coding.
func (e env) reader(resp *http.Response) io.Reader {
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return resp.Body
	}
	zr, err := gzip.NewReader(resp.Body)
	if err != nil {
		e.Fatal(err)
	}
	return zr
}

// isRewritten checks that an answer is the whole of tracked, after some other
// markup, with what waits for consent held.
func (e env) isRewritten(got answer) {
	e.Helper()
	accepted := "identity " + got.Request.Header.Get("Accept-Encoding")
	if coding := got.Header.Get("Content-Encoding"); coding != "" && !strings.Contains(accepted, coding) {
		e.Errorf("coded %q, and the client accepts %q", coding, accepted)
	}
	switch {
	case got.Err != nil || got.decodeErr != nil:
		e.Errorf("broken off: %v, %v, after …%q", got.Err, got.decodeErr, tail(got.page))
	case strings.Contains(got.page, live) || !strings.Contains(got.page, "data-cg-src"):
		e.Errorf("not rewritten: %s, …%q", got.Status, tail(got.page))
	case !strings.HasSuffix(got.page, "<p>hello</p></body></html>"):
		e.Errorf("cut: …%q", tail(got.page))
	}
}

// isUnreadable checks that an answer is that to a page which cannot be read.
func (e env) isUnreadable(what string, got answer) {
	e.Helper()
	switch {
	case unreadableIsRefused && (got.StatusCode != http.StatusBadGateway || strings.Contains(got.page, live)):
		e.Errorf("%s: not refused: %s %v …%q", what, got.Status, got.Err, tail(got.page))
	case !unreadableIsRefused && !shielded(got):
		e.Errorf("%s: not under the policy line: %s %v", what, got.Status, got.Header)
	}
}

func shielded(got answer) bool {
	return slices.Contains(got.Header["Content-Security-Policy"], shield)
}

func tail(s string) string { return s[max(0, len(s)-300):] }

// counted returns a function that waits until n more responses had an outcome
// than when it was made.
func (e env) counted(outcome string, n float64) func() {
	series := fmt.Sprintf("caddy_consent_responses_total{outcome=%q}", outcome)
	before := e.w.Metric(e, series)
	return func() {
		e.Helper()
		// A response is counted when its handler is done, which may be after the
		// client has read all of it.
		gate.Eventually(e, fmt.Sprintf("%v more counted as %s", n, outcome), func() bool {
			return e.w.Metric(e, series) >= before+n
		})
	}
}
