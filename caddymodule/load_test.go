package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// I12, A11: whatever reaches past us is named when the configuration is loaded,
// and nothing else is.
func TestWarnings(t *testing.T) {
	const proxied = "reverse_proxy 127.0.0.1:1"
	for name, tc := range map[string]struct {
		lines string
		want  []string // parts of warnings
	}{
		"nothing":           {"header X y\nheader >X-Other y\nencode\nconsent\n" + proxied, nil},
		"deferred set":      {"header >Content-Security-Policy x\nconsent\n" + proxied, []string{`"set Content-Security-Policy"`}},
		"at once":           {"header Content-Security-Policy x\nconsent\n" + proxied, nil},
		"delete":            {"header -vary\nconsent\n" + proxied, []string{`"delete vary"`}},
		"wildcard":          {"header -Set-*\nconsent\n" + proxied, []string{`"delete Set-*"`}},
		"default":           {"header ?Cache-Control x\nconsent\n" + proxied, []string{`"set Cache-Control"`}},
		"replace":           {"header {\n>Link a b\n}\nconsent\n" + proxied, []string{`"replace Link"`}},
		"one delete":        {"header {\n+Set-Cookie a\n-Etag\n}\nconsent\n" + proxied, []string{`"add Set-Cookie"`, `"delete Etag"`}},
		"added late":        {"header {\n+Set-Cookie a\ndefer\n}\nconsent\n" + proxied, []string{`"add Set-Cookie"`}},
		"inside":            {"route {\nconsent\nheader -Vary\n" + proxied + "\n}", nil},
		"before in route":   {"route {\nheader -Vary\nconsent\n" + proxied + "\n}", []string{`"delete Vary"`}},
		"around the route":  {"header -Vary\nhandle /a/* {\nconsent\n" + proxied + "\n}", []string{`"delete Vary"`}},
		"in another branch": {"handle /b/* {\nheader -Vary\n" + proxied + "\n}\nhandle {\nconsent\n" + proxied + "\n}", nil},
		"site without us":   {"header -Vary\n" + proxied, nil},
		"encode inside":     {"route {\nconsent\nencode\n" + proxied + "\n}", []string{"encode runs inside consent"}},
		"errors":            {"consent\n" + proxied + "\nhandle_errors {\nrespond x\n}", []string{"handle_errors without consent"}},
		"errors with":       {"consent\n" + proxied + "\nhandle_errors {\nconsent\nrespond x\n}", nil},
		"errors deep":       {"consent\n" + proxied + "\nhandle_errors {\nroute {\nconsent\nrespond x\n}\n}", nil},
		"errors, not ours":  {proxied + "\nhandle_errors {\nrespond x\n}", nil},
		"forward_auth":      {"forward_auth 127.0.0.1:1 {\nuri /\n}\nconsent\n" + proxied, []string{"forward_auth runs outside consent"}},
		"auth inside":       {"route {\nconsent\nforward_auth 127.0.0.1:1 {\nuri /\n}\n" + proxied + "\n}", nil},
		"in errors":         {"consent\n" + proxied + "\nhandle_errors {\nheader -Vary\nconsent\nrespond x\n}", []string{`"delete Vary"`}},
		"twice":             {"header -Vary\nhandle /a/* {\nconsent\n" + proxied + "\n}\nhandle {\nconsent\n" + proxied + "\n}", []string{`"delete Vary"`}},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, tc.lines)
			checkWarnings(t, g, tc.want)
		})
	}
	t.Run("named route", func(t *testing.T) {
		g := start(t, proxied)
		g.load(fmt.Sprintf("&(pages) {\nroute {\nheader -Vary\nconsent\n%s\n}\n}\nhttp://%s {\ninvoke pages\n}", proxied, g.addr))
		checkWarnings(t, g, []string{`"delete Vary"`})
	})
	t.Run("two sites", func(t *testing.T) {
		g := start(t, proxied)
		_, port, _ := net.SplitHostPort(g.addr)
		g.load(fmt.Sprintf("http://a.test:%[1]s {\nconsent\n%[2]s\nhandle_errors {\nconsent\nrespond x\n}\n}\nhttp://b.test:%[1]s {\n%[2]s\nhandle_errors {\nrespond x\n}\n}", port, proxied))
		checkWarnings(t, g, nil)
		g.load(fmt.Sprintf("http://a.test:%[1]s {\nconsent\n%[2]s\nhandle_errors {\nrespond x\n}\n}\nhttp://b.test:%[1]s {\n%[2]s\n}", port, proxied))
		checkWarnings(t, g, []string{"for a.test"})
	})
}

func checkWarnings(t *testing.T, g *gate, want []string) {
	t.Helper()
	var got []string
	for _, entry := range g.entries("consent") {
		if entry["level"] == "warn" {
			got = append(got, fmt.Sprint(entry["msg"]))
			if fmt.Sprint(entry["fix"]) == "" {
				t.Errorf("no fix: %v", entry)
			}
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

// A bad policy or option is refused with its place, and what runs keeps running.
func TestFailedReload(t *testing.T) {
	g := start(t, proxy(answering(t, page(tracked))))
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	site := func(line string) string {
		return fmt.Sprintf("http://%s {\n%s\nrespond other\n}", g.addr, line)
	}
	for name, tc := range map[string]struct {
		policy string
		line   string
		want   []string
	}{
		"typo":      {"unknwon: allow\n", "consent " + file, []string{file + ":1:1: ", "unknwon"}},
		"duplicate": {"vendors:\n  - id: a\n    name: A\n    category: marketing\n    hosts: [a.example]\n  - id: a\n    name: A\n    category: marketing\n    hosts: [b.example]\n", "consent {\npolicy " + file + "\n}", []string{file + ":6:", "a"}},
		"missing":   {"", "consent * " + file + ".missing", []string{file + ".missing", "no such file"}},
		"folder":    {"", "consent * " + dir + "/", []string{dir, "cannot be read"}},
		"no env":    {"", "consent {env.CONSENT_TEST_UNSET}", []string{"CONSENT_TEST_UNSET"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tc.policy), 0o600); err != nil {
				t.Fatal(err)
			}
			line := tc.line
			if strings.HasPrefix(line, "consent /") {
				line = strings.Replace(line, "consent ", "consent * ", 1)
			}
			err := g.tryLoad(site(line))
			if err == nil {
				t.Fatal("loaded")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
			if got := g.get("/"); !strings.Contains(got.body, "data-cg-src") {
				t.Errorf("the running configuration serves %d %q", got.StatusCode, got.body)
			}
		})
	}
	// JSON does not pass the Caddyfile's checks.
	for options, want := range map[string]string{
		`"prefix":"_cg"`:           "begins and ends with",
		`"failure_policy":"x"`:     "use strict, guarded or observe",
		`"cache":"public"`:         "use private or shared",
		`"max_memory":1`:           "from 1MiB to 1TiB",
		`"max_ratio":1`:            "from 10 to 10000",
		`"max_window":1`:           "from 1MiB to 128MiB",
		`"max_cookies":3001`:       "from 10 to 3000",
		`"on_unreadable":"pass"`:   "on_unreadable",
		`"max_hold":-1`:            "from 1KiB to 16MiB",
		`"max_inline":1`:           "from 1KiB to 16MiB",
		`"max_decoded":1`:          "from 1MiB to 4GiB",
		`"cookie_name":"__Host-x"`: "prefix",
		`"max_holds":5`:            "max_holds",
	} {
		config := strings.Replace(string(g.config), `"handler":"consent"`, `"handler":"consent",`+options, 1)
		if err := caddy.Load([]byte(config), true); config == string(g.config) || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", options, err)
		}
	}
}

// A policy file is used, and used anew after a reload.
func TestPolicyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("version: one\n")
	addr := answering(t, page(`<title>x</title><script src="https://elsewhere.example/x.js"></script>`))
	g := start(t, proxy(addr, "policy "+file))
	held := func() bool { return strings.Contains(g.get("/").body, "data-cg-src") }
	if held() {
		t.Error("an unknown third party was held by default")
	}
	write("version: two\nunknown: block\n")
	if err := caddy.Load(g.config, true); err != nil {
		t.Fatal(err)
	}
	// For a moment the old server may still accept connections.
	eventually(t, "unknown: block is in force", held)
}

// I1, I3: handlers share metrics, which live on through reloads; streams are not cut.
func TestReload(t *testing.T) {
	step := make(chan bool)
	stream := raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
		for range step {
			io.WriteString(c, "data: x\n\n")
		}
	})
	addr := answering(t, page(tracked))
	lines := "handle /a/* {\nconsent\nreverse_proxy " + addr + "\n}\nhandle /b/* {\nconsent {\nmax_hold 2KiB\n}\nreverse_proxy " + addr +
		"\n}\nhandle {\nconsent\nreverse_proxy " + stream + " {\nstream_close_delay 1m\n}\n}"
	g := start(t, lines)
	resp, err := plainClient.Get("http://" + g.addr + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 100)
	runtime.GC()
	before := runtime.NumGoroutine()
	for i := range 50 {
		if err := caddy.Load(g.config, true); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			step <- true
			if n, err := resp.Body.Read(buf); err != nil || n == 0 {
				t.Fatalf("reload %d: stream: %d, %v", i, n, err)
			}
		}
		// For a moment the old server may still accept connections.
		eventually(t, fmt.Sprintf("pages counted after reload %d", i), func() bool {
			g.get("/a/")
			g.get("/b/")
			return g.settled(outcomeRewritten, 2) >= 2
		})
	}
	close(step)
	eventually(t, "goroutines back", func() bool { return runtime.NumGoroutine() <= before+10 })
}

// Once Caddy serves, the log says where to look.
func TestAnnouncement(t *testing.T) {
	g := start(t, "consent {\nprefix /p/\n}\nrespond x")
	var ready []map[string]any
	eventually(t, "announced", func() bool { ready = g.entries("consent gateway ready"); return len(ready) > 0 })
	want := map[string]string{"site": "http://" + g.addr, "preferences": "http://" + g.addr + "/p/preferences", "metrics": "[" + g.metrics + "]"}
	for key, value := range want {
		if got := fmt.Sprint(ready[0][key]); got != value {
			t.Errorf("%s is %s, want %s", key, got, value)
		}
	}
	if len(ready) != 1 {
		t.Errorf("announced %d times", len(ready))
	}
}

// Nothing about a visitor is logged or labelled.
func TestNothingPersonal(t *testing.T) {
	g := start(t, "consent\nreverse_proxy "+answering(t, page(tracked)))
	g.get("/secret-path?secret-query=1", "Cookie", "secret-cookie=1", "Accept", "text/html", "User-Agent", "secret-agent")
	g.get("/_cg/preferences?return_to=/secret-return")
	eventually(t, "debug line", func() bool { return len(g.entries("response")) > 0 })
	time.Sleep(50 * time.Millisecond)
	data, err := os.ReadFile(g.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "http.handlers.consent") && (strings.Contains(line, "secret") || strings.Contains(line, "127.0.0.1:") && !strings.Contains(line, "ready")) {
			t.Errorf("logged: %s", line)
		}
	}
	if text := ask(t, plainClient, "GET", g.metrics).body; strings.Contains(text, "secret") {
		t.Error("metrics tell too much")
	}
}
