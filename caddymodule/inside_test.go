package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// I2: nothing a visitor sends becomes a label. The number of series stays what
// the configuration makes it.
func TestInsideI2Series(t *testing.T) {
	g := start(t, proxy(raw(t, echoRequest)))
	series := func() int {
		return strings.Count(ask(t, plainClient, http.MethodGet, g.metrics).body, "caddy_consent_")
	}
	visit := func(i int) {
		host := fmt.Sprintf("vendor%d.example", i)
		g.get(fmt.Sprintf("/page%d?host=%s", i, host), "Cookie", fmt.Sprintf("c%d=1; _ga=1; cg=x%d", i, i),
			"Sec-Fetch-Dest", fmt.Sprintf("d%d", i), "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
	}
	visit(0)
	before := series()
	for i := 1; i < 1000; i++ {
		visit(i)
	}
	if after := series(); after != before {
		t.Errorf("%d lines of metrics, then %d", before, after)
	}
}

// I5: the log tells which policy was read, also when only its file has changed.
func TestInsideI5PolicyLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("version: one\n")
	g := start(t, "consent {\npolicy "+file+"\n}\nrespond x")
	write("version: two\n")
	if err := caddy.Load(g.config, true); err != nil {
		t.Fatal(err)
	}
	logged := g.entries("policy loaded")
	if len(logged) != 2 || logged[0]["version"] != "one" || logged[1]["version"] != "two" || logged[0]["hash"] == logged[1]["hash"] {
		t.Errorf("%v", logged)
	}
}

// I9: what a visitor sends is never read as a template of Caddy's.
func TestInsideI9NoTemplates(t *testing.T) {
	t.Setenv("CONSENT_TEST_SECRET", "open sesame")
	g := start(t, proxy(raw(t, echoRequest)))
	const placeholder = "{env.CONSENT_TEST_SECRET}"
	for _, got := range []answer{
		g.get("/"+placeholder+"?"+placeholder, "Cookie", "session="+placeholder, "X-Mine", placeholder),
		g.get("/_cg/preferences?return_to=/"+placeholder, "Cookie", "cg="+placeholder),
		g.get("/", "Host", placeholder, "Referer", placeholder),
	} {
		if all := fmt.Sprint(got.Header, got.body); strings.Contains(all, "sesame") {
			t.Errorf("%s", all)
		}
	}
	if got := g.get("/", "Cookie", "session="+placeholder); !strings.Contains(got.body, "session="+placeholder) {
		t.Errorf("the site got %q", got.body)
	}
}

// echoRequest answers with a page of the request's own lines, and a vendor's
// script from the host that the query names.
func echoRequest(c net.Conn, r *http.Request) {
	var lines strings.Builder
	fmt.Fprintf(&lines, "<script src=\"https://%s/a.js\"></script><pre>%s %s\n", r.URL.Query().Get("host"), r.Method, r.RequestURI)
	if err := r.Header.Write(&lines); err != nil {
		return
	}
	io.WriteString(c, page(lines.String()))
}
