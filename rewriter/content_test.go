package rewriter

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A25, D7
func TestClassify(t *testing.T) {
	for _, c := range []struct {
		lines []string // Content-Type
		want  Content
	}{
		{[]string{"text/html"}, HTML},
		{[]string{"TEXT/HTML;charset=utf-8"}, HTML},
		{[]string{"\ttext/html ; charset=utf-8"}, HTML},
		{[]string{"text/html;"}, HTML},
		{[]string{"text/html charset=utf-8"}, HTML},
		{[]string{"text/html(comment)"}, HTML},
		{[]string{"text/plain,text/html"}, HTML},
		{[]string{"text/plain", "text/html"}, HTML},
		{[]string{"text/html", "text/plain"}, HTML}, // to browsers that take the first
		{[]string{"text/html, */*"}, HTML},
		{[]string{"text/html, nonsense"}, HTML},
		{[]string{`text/plain; x="a, text/html"`}, NotHTML},
		{nil, Unlabelled},
		{[]string{""}, Unlabelled},
		{[]string{"*/*"}, Unlabelled},
		{[]string{"html"}, Unlabelled},
		{[]string{"/html"}, Unlabelled},
		{[]string{"text/"}, Unlabelled},
		{[]string{"text/ht@ml"}, Unlabelled},
		{[]string{"text/html/x"}, Unlabelled},
		{[]string{"unknown/unknown"}, Unlabelled},
		{[]string{"application/unknown;x=y"}, Unlabelled},
		{[]string{"text/plain, unknown/unknown"}, Unlabelled},
		{[]string{"application/xhtml+xml"}, XML},
		{[]string{"text/xml; charset=utf-8"}, XML},
		{[]string{"application/xml"}, XML},
		{[]string{"Text/XSL; charset=utf-8"}, XML},
		{[]string{"application/xslt+xml"}, XML},
		{[]string{"text/xslt"}, NotHTML},
		{[]string{"image/svg+xml"}, XML},
		{[]string{"application/rss+xml"}, XML},
		{[]string{"text/html, text/xml"}, HTML},
		{[]string{"text/event-stream"}, NotHTML},
		{[]string{"text/event-streamfoo"}, NotHTML},
		{[]string{"text/htmlx"}, NotHTML},
		{[]string{"text/htm"}, NotHTML},
		{[]string{"text/plain"}, NotHTML},
		{[]string{"text/plain, */*"}, NotHTML},
		{[]string{"application/json"}, NotHTML},
		{[]string{"application/octet-stream"}, NotHTML},
		{[]string{"application/xmlish"}, NotHTML},
		{[]string{"image/png"}, NotHTML},
	} {
		h := http.Header{}
		if c.lines != nil {
			h["Content-Type"] = c.lines
		}
		if got := Classify(h); got != c.want {
			t.Errorf("%q: %v, want %v", c.lines, got, c.want)
		}
		// What keeps browsers from guessing keeps us, and changes nothing else.
		want := c.want
		if want == Unlabelled {
			want = NotHTML
		}
		for field, value := range map[string]string{"X-Content-Type-Options": " NoSniff, x", "Content-Disposition": `Attachment; filename="a;b"`} {
			h2 := h.Clone()
			h2.Set(field, value)
			if got := Classify(h2); got != want {
				t.Errorf("%q with %s: %v, want %v", c.lines, field, got, want)
			}
		}
		for field, value := range map[string]string{"X-Content-Type-Options": "x, nosniff", "Content-Disposition": "inline; attachment"} {
			h2 := h.Clone()
			h2.Set(field, value)
			if got := Classify(h2); got != c.want {
				t.Errorf("%q with %s %q: %v, want %v", c.lines, field, value, got, c.want)
			}
		}
	}
}

// D7: the table of MIME Sniffing, section 7.1.
func TestSniffD7(t *testing.T) {
	blanks := make([]byte, SniffBytes)
	for i := range blanks {
		blanks[i] = ' '
	}
	for _, c := range []struct {
		in         string
		html, more bool
	}{
		{"", false, true},
		{" \t\r\n\f", false, true},
		{"<", false, true},
		{"<!", false, true},
		{"<!-", false, true},
		{"<!--", true, false},
		{"<!-->", true, false},
		{"<!DOCTYPE HTML", false, true},
		{"<!doctype html>", true, false},
		{"<!doctype html ", true, false},
		{"<!doctype html\n", false, false},
		{"<!doctype htmlx", false, false},
		{"<!doctype svg>", false, false},
		{"\n\n <HtMl>", true, false},
		{"<html lang=en>", true, false},
		{"<html\n", false, false},
		{"<head>", true, false},
		{"<header>", false, false},
		{"<script>", true, false},
		{"<script src=x>", true, false},
		{"<scripts>", false, false},
		{"<iframe>", true, false}, {"<h1>", true, false}, {"<h2>", false, false},
		{"<div>", true, false}, {"<font>", true, false}, {"<table>", true, false},
		{"<a href=x>", true, false}, {"<a", false, true}, {"<abbr>", false, false},
		{"<style>", true, false}, {"<title>", true, false}, {"<b>", true, false},
		{"<body>", true, false}, {"<bod", false, true}, {"<br>", true, false}, {"<br/>", false, false},
		{"<p>", true, false}, {"<pre>", false, false},
		{"<img src=x>", false, false},
		{"<?xml version=\"1.0\"?>", false, false},
		{"\xef\xbb\xbf<html>", false, false},
		{"\v<html>", false, false},
		{"<ſcript>", false, false},
		{"text <html>", false, false},
		{"\x00\x01\x02<html>", false, false},
		{"%PDF-1.7", false, false},
		{string(blanks) + "<html>", false, false},
		{string(blanks[:SniffBytes-6]) + "<html>", true, false},
		{string(blanks[:SniffBytes-5]) + "<html>", false, false},
	} {
		if got := Sniff([]byte(c.in)); got != c.html {
			t.Errorf("Sniff(%.40q) = %v", c.in, got)
		}
		if got := SniffMore([]byte(c.in)); got != c.more {
			t.Errorf("SniffMore(%.40q) = %v", c.in, got)
		}
	}
}

// More bytes never change what SniffMore called final.
func FuzzSniff(f *testing.F) {
	f.Add([]byte(" <!doctype html><p>"))
	f.Add([]byte("<bod y>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := Sniff(b)
		for i := range b {
			if !SniffMore(b[:i]) && Sniff(b[:i]) != want {
				t.Fatalf("%q decides %v, %q %v", b[:i], !want, b, want)
			}
		}
	})
}

func TestMayBeHTML(t *testing.T) {
	for _, c := range []struct {
		name   string
		path   string
		header map[string]string
		want   bool
	}{
		{"navigation", "/a.css", map[string]string{"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}, true},
		{"frame", "/", map[string]string{"Sec-Fetch-Dest": "iframe"}, true},
		{"object", "/", map[string]string{"Sec-Fetch-Dest": "object"}, true},
		{"mode alone", "/x.js", map[string]string{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "navigate"}, true},
		{"fetch", "/", map[string]string{"Sec-Fetch-Dest": "empty", "Accept": "*/*"}, false},
		{"fetch of HTML", "/", map[string]string{"Sec-Fetch-Dest": "empty", "Accept": "Text/HTML, */*"}, true},
		{"prefetch", "/next", map[string]string{"Sec-Fetch-Dest": "empty", "Sec-Purpose": "prefetch;prerender"}, true},
		{"old prefetch", "/next", map[string]string{"Sec-Fetch-Dest": "empty", "Purpose": "prefetch"}, true},
		{"script", "/x", map[string]string{"Sec-Fetch-Dest": "script"}, false},
		{"video", "/x", map[string]string{"Sec-Fetch-Dest": "video", "Range": "bytes=0-"}, false},
		{"curl", "/", map[string]string{"Accept": "*/*"}, true},
		{"curl of a file", "/a.php", nil, true},
		{"old browser, video", "/film.MP4", map[string]string{"Accept": "*/*"}, false},
		{"old browser, style", "/a/b.css", map[string]string{"Accept": "text/css,*/*;q=0.1"}, false},
		{"old browser, page", "/a.css", map[string]string{"Accept": "text/html,application/xhtml+xml"}, true},
		{"folder with a dot", "/v1.css/page", nil, true},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		if got := MayBeHTML(r); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
