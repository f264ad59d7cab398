package caddymodule

// Harness of the tests in this package. They run a real Caddy in this process,
// one configuration at a time, on free ports of the loopback interface:
//
//	go test ./caddymodule                  everything, about a minute
//	go test -run Contract ./caddymodule    the contract of the response writer
//	go test -race ./caddymodule
//
// The site behind the gateway is either Caddy itself (file_server, respond …) or
// a raw TCP server that writes bytes a well-behaved one would not.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// tracked is a page with one resource of a vendor that waits for consent.
const tracked = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>t</title>` +
	`<script async src="https://www.googletagmanager.com/gtag/js?id=G-TEST"></script></head><body><p>hello</p></body></html>`

// live is what tracked must not hold any more once rewritten.
const live = ` src="https://www.googletagmanager.com`

// A gate is a running Caddy with a gateway.
type gate struct {
	t       testing.TB
	addr    string // host:port of the gateway
	metrics string // URL
	log     string // file
	config  []byte // JSON
}

// start starts Caddy with the Caddyfile lines of one site. globals are lines for
// the block of global options.
func start(t testing.TB, lines string, globals ...string) *gate {
	t.Helper()
	g := &gate{t: t, addr: freeAddr(t), log: filepath.Join(t.TempDir(), "log")}
	metricsAddr := freeAddr(t)
	g.metrics = "http://" + metricsAddr + "/metrics"
	g.load(fmt.Sprintf("http://%s {\n%s\n}\nhttp://%s {\nmetrics /metrics\n}\n", g.addr, lines, metricsAddr), globals...)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return g
}

// load loads a Caddyfile into the running Caddy.
func (g *gate) load(sites string, globals ...string) {
	g.t.Helper()
	if err := g.tryLoad(sites, globals...); err != nil {
		g.t.Fatalf("loading: %v\n%s", err, sites)
	}
}

func (g *gate) tryLoad(sites string, globals ...string) error {
	file := fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\ngrace_period 2s\n"+
		"log {\noutput file %s\nformat json\nlevel DEBUG\n}\n%s\n}\n%s", g.log, strings.Join(globals, "\n"), sites)
	config, err := adapt(file)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	g.config = config
	return nil
}

func adapt(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// entries returns the log entries with the given message part.
func (g *gate) entries(part string) []map[string]any {
	g.t.Helper()
	data, err := os.ReadFile(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	var found []map[string]any
	for line := range bytes.Lines(data) {
		var entry map[string]any
		if json.Unmarshal(line, &entry) == nil && strings.Contains(fmt.Sprint(entry["msg"]), part) {
			found = append(found, entry)
		}
	}
	return found
}

func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		// Below the range from which systems take the ports of outgoing
		// connections: one of those might take the port before Caddy does.
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		defer func() { _ = ln.Close() }()
		return ln.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}

// An answer is a response read to its end.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

// get asks the gateway; fields are pairs of header names and values.
func (g *gate) get(path string, fields ...string) answer {
	g.t.Helper()
	return g.do(http.MethodGet, path, fields...)
}

func (g *gate) do(method, path string, fields ...string) answer {
	g.t.Helper()
	return ask(g.t, plainClient, method, "http://"+g.addr+path, fields...)
}

// plainClient neither decompresses nor follows redirects.
var plainClient = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       20 * time.Second,
}

func ask(t testing.TB, c *http.Client, method, url string, fields ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := c.Do(req)
	for range 3 {
		// Caddy drops connections it accepts in the very moment of a reload.
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			resp, err = c.Do(req)
		}
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp, string(body), err}
}

// granted returns the Cookie line of a visitor who granted the categories, or
// all of them if none is named.
func granted(t testing.TB, categories ...string) string {
	t.Helper()
	sc := policy.Default().Scheme()
	set := sc.Optional()
	if len(categories) > 0 {
		set = 0
		for _, id := range categories {
			set = set.With(sc.Index(id))
		}
	}
	line := (&consent.Resolver{Scheme: sc}).SetCookie(consent.Choice{Granted: set, At: time.Now()}, false)
	pair, _, _ := strings.Cut(line, ";")
	return pair
}

// value returns the value of one series, given as "name{labels}" in the order
// Prometheus writes them; 0 if it is absent.
func (g *gate) value(series string) float64 {
	g.t.Helper()
	text := ask(g.t, plainClient, http.MethodGet, g.metrics).body
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// outcome returns how many responses had an outcome.
func (g *gate) outcome(o outcome) float64 {
	g.t.Helper()
	return g.value(fmt.Sprintf("caddy_consent_responses_total{outcome=%q}", o))
}

// bypassed returns how many pages were not rewritten for a reason, and met with
// what was done.
func (g *gate) bypassed(why string, what remedy) float64 {
	g.t.Helper()
	return g.value(fmt.Sprintf("caddy_consent_bypasses_total{action=%q,reason=%q}", what, why))
}

// counted reports whether n responses had an outcome. A response is counted when
// its handler is done, which may be after the client has read all of it.
func (g *gate) counted(o outcome, n float64) bool { return g.settled(o, n) == n }

// settled returns how many responses had an outcome, once these are n or a while
// has passed.
func (g *gate) settled(o outcome, n float64) float64 {
	g.t.Helper()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got := g.outcome(o); got == n || time.Now().After(deadline) {
			return got
		}
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

// A raw server answers each request by a function that writes to the connection,
// which is closed afterwards.
func raw(t *testing.T, serve func(c net.Conn, r *http.Request)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					serve(c, r)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// answering is a raw server that always sends the same bytes.
func answering(t *testing.T, parts ...string) string {
	t.Helper()
	return raw(t, func(c net.Conn, _ *http.Request) {
		for _, p := range parts {
			if _, err := io.WriteString(c, p); err != nil {
				return
			}
		}
	})
}

// page is a complete HTTP response with a body.
func page(body string, fields ...string) string {
	return response("200 OK", body, append([]string{"Content-Type: text/html"}, fields...)...)
}

func response(status, body string, fields ...string) string {
	head := "HTTP/1.1 " + status + "\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// proxy is a site that passes everything to one server.
func proxy(addr string, options ...string) string {
	return "consent {\n" + strings.Join(options, "\n") + "\n}\nreverse_proxy " + addr
}

// rawAsk sends bytes to the gateway and returns what comes until the connection
// ends.
func (g *gate) rawAsk(request string) string {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		g.t.Fatal(err)
	}
	data, err := io.ReadAll(c)
	if err != nil {
		g.t.Fatalf("reading: %v (got %q)", err, data)
	}
	return string(data)
}
