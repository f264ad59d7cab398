package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
	"github.com/consentgate/consentgate/test/cases"
)

// Every case of the corpus is a page on a host of its own, and the hosts of its
// references begin with the same label: what reaches the outside world tells
// which case it is of, so that many pages can be open at once.
const (
	casePath   = "/dir/page.html"
	bareRun    = 'k' // the document as it is
	throughRun = 't' // through the rewriter, nothing granted
)

// A node names one case in one run: "t17." is case 17 through the rewriter.
type node struct {
	run   byte
	index int
}

func (n node) String() string { return fmt.Sprintf("%c%d.", n.run, n.index) }

// nodeOf returns the node a host belongs to, and the host without it.
func nodeOf(host string) (n node, bare string, ok bool) {
	label, bare, found := strings.Cut(host, ".")
	if !found || len(label) < 2 || label[0] != bareRun && label[0] != throughRun {
		return node{}, host, false
	}
	i, err := strconv.Atoi(label[1:])
	return node{label[0], i}, bare, err == nil
}

// A caseSite serves the pages of all cases, and something of the right sort for
// every other path. Its pages are on *.site.test over HTTPS, or on *.plain.test.
type caseSite struct {
	cases  []cases.Case
	secure string // addresses
	plain  string

	mu   sync.Mutex
	seen map[node]bool           // pages asked for
	own  map[node][]string       // requests other than for the page
	made map[node]*rewrittenPage // what the rewriter made
}

// A rewrittenPage is what became of one document.
type rewrittenPage struct {
	changed bool // something was held
	refused bool
	page    []byte
}

func startCaseSite(t testing.TB, all []cases.Case) *caseSite {
	t.Helper()
	s := &caseSite{cases: all, seen: make(map[node]bool), own: make(map[node][]string), made: make(map[node]*rewrittenPage)}
	s.secure = startTLS(t, s).String()
	s.plain = startUpstream(t, s).addr
	return s
}

// address returns where the node's page is.
func (s *caseSite) address(n node) string {
	if s.cases[n.index].Plain {
		return "http://" + n.String() + "plain.test" + casePath
	}
	return "https://" + n.String() + "site.test" + casePath
}

func (s *caseSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	n, name, ok := nodeOf(host)
	if !ok || n.index >= len(s.cases) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path != casePath {
		if r.URL.Path != "/favicon.ico" {
			s.mu.Lock()
			s.own[n] = append(s.own[n], name+strings.ReplaceAll(r.URL.RequestURI(), n.String(), ""))
			s.mu.Unlock()
		}
		if strings.HasSuffix(r.URL.Path, "/missing") || strings.HasSuffix(r.URL.Path, "/missing.png") {
			http.NotFound(w, r)
			return
		}
		kind, body := answer(hit{Host: host, Path: r.URL.Path, Dest: destination(r)}, r.TLS != nil)
		w.Header().Set("Content-Type", kind)
		w.Write([]byte(body))
		return
	}
	s.mu.Lock()
	s.seen[n] = true
	s.mu.Unlock()
	c := &s.cases[n.index]
	switch c.Charset {
	case "":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	case "none":
		w.Header().Set("Content-Type", "text/html")
	default:
		w.Header().Set("Content-Type", "text/html; charset="+c.Charset)
	}
	doc := c.Document(n.String())
	if n.run == bareRun {
		w.Write(doc)
		return
	}
	s.rewrite(w, r, n, host, doc)
}

// rewrite sends the document as the gateway does, but for the policy header: what
// keeps the browser from blocked hosts is the rewriter alone.
func (s *caseSite) rewrite(w http.ResponseWriter, r *http.Request, n node, host string, doc []byte) {
	made := &rewrittenPage{}
	defer func() {
		s.mu.Lock()
		s.made[n] = made
		s.mu.Unlock()
	}()
	label, readable := rewriter.Charset(w.Header(), doc, true)
	if !readable {
		var text bytes.Buffer
		tr := rewriter.NewTranscoder(label, &text)
		if _, err := tr.Write(doc); err != nil {
			panic(err) // a buffer takes everything
		}
		if err := tr.Close(); err != nil {
			panic(err)
		}
		label, doc = "utf-8", text.Bytes()
	}
	rewriter.PinCharset(w.Header(), label)
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	var out bytes.Buffer
	rw := rewriter.New(rewriter.Options{})
	rw.Reset(&out, rewriter.Page{Bound: policy.Default().Bind(consent.State{}, host), Scheme: scheme, Host: host, Path: casePath, Charset: label, Stubs: true})
	const piece = 1400 // as packets come
	var err error
	for rest := doc; len(rest) > 0 && err == nil; rest = rest[min(piece, len(rest)):] {
		_, err = rw.Write(rest[:min(piece, len(rest))])
	}
	if err == nil {
		err = rw.Close()
	}
	made.page, made.refused = out.Bytes(), err != nil
	for _, count := range rw.Report().Counts {
		made.changed = made.changed || count.Action == policy.Block
	}
	if err != nil {
		// What is out is out; the rest never comes.
		w.Header().Set("Content-Length", strconv.Itoa(out.Len()+1))
		w.Write(out.Bytes())
		panic(http.ErrAbortHandler)
	}
	w.Write(out.Bytes())
}
