package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/htmlindex"
)

// D3, D4: pages in UTF-16 and ISO-2022-JP are sent in UTF-8, rewritten; to a
// visitor from whom nothing is held, as they are.
func TestTranscoded(t *testing.T) {
	doc := "<!DOCTYPE html><title>日本語</title>" + strings.Repeat("<p>日本語のページ</p>", 300) +
		`<script src="https://www.googletagmanager.com/gtag/js"></script><p>終`
	for label, mark := range map[string]string{"utf-16le": "\xff\xfe", "utf-16be": "\xfe\xff", "iso-2022-jp": ""} {
		e, err := htmlindex.Get(label)
		if err != nil {
			t.Fatal(err)
		}
		body, err := e.NewEncoder().String(doc)
		if err != nil {
			t.Fatal(err)
		}
		for declared, response := range map[string]string{
			"header":            response("200 OK", body, "Content-Type: text/html; charset="+label),
			"mark":              page(mark + body),
			"mark, other label": response("200 OK", mark+body, "Content-Type: text/html; charset=koi8-r"),
			"compressed":        response("200 OK", string(encoded(t, "gzip", []byte(body))), "Content-Type: text/html; charset="+label, "Content-Encoding: gzip"),
		} {
			if mark == "" && strings.HasPrefix(declared, "mark") {
				continue // has none
			}
			t.Run(label+" by "+declared, func(t *testing.T) {
				g := start(t, proxy(answering(t, response), "failure_policy strict"))
				got := g.get("/")
				text := strings.TrimPrefix(got.body, "\ufeff")
				want := strings.Replace(doc, "<script src=", "<script type=text/plain data-cg-vendor=", 1)
				if got.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasSuffix(text, "<p>終") ||
					text[:1000] != want[:1000] || strings.Contains(text, ` src="https://www.google`) || !strings.Contains(text, "data-cg-src") {
					t.Errorf("%v %q … %q", got.Header, text[:100], tail(text))
				}
				if !g.counted(outcomeRewritten, 1) {
					t.Error("not counted as rewritten")
				}
				_, raw, _ := strings.Cut(response, "\r\n\r\n")
				if got := g.get("/", "Accept-Encoding", "gzip", "Cookie", granted(t)); got.body != raw || strings.Contains(got.Header.Get("Content-Type"), "utf-8") {
					t.Errorf("granted: %v, %d bytes of %d", got.Header, len(got.body), len(raw))
				}
			})
		}
	}
}

// A consent cookie that does not count is counted, by reason.
func TestCookieProblems(t *testing.T) {
	g := start(t, proxy(answering(t, page(tracked))))
	ok := granted(t)
	for reason, cookie := range map[string]string{
		"malformed":   "cg=nonsense",
		"conflicting": ok + "; cg=1~1~tp86z3~none",
		"outdated":    strings.Replace(ok, "cg=1~1~", "cg=1~0~", 1),
		"expired":     "cg=1~1~1~analytics",
	} {
		got := g.get("/", "Cookie", cookie)
		if !strings.Contains(got.body, "data-cg-src") {
			t.Errorf("%s: counts as a choice: %q", reason, got.body)
		}
		if n := g.value(fmt.Sprintf("caddy_consent_cookie_problems_total{reason=%q}", reason)); n != 1 {
			t.Errorf("%s: counted %v times", reason, n)
		}
	}
	g.get("/", "Cookie", ok)
	g.get("/")
	total := 0.0
	for _, reason := range []string{"malformed", "conflicting", "outdated", "expired"} {
		total += g.value(fmt.Sprintf("caddy_consent_cookie_problems_total{reason=%q}", reason))
	}
	if total != 4 {
		t.Errorf("%v problems", total)
	}
}

// Whoever lets unread pages through is told so when the configuration is loaded.
func TestObserveWarns(t *testing.T) {
	for mode, want := range map[string]int{policyStrict: 0, policyGuarded: 0, policyObserve: 1} {
		g := start(t, "consent {\nfailure_policy "+mode+"\n}\nrespond x")
		if n := len(g.entries("failure_policy observe")); n != want {
			t.Errorf("%s: %d warnings", mode, n)
		}
	}
}
