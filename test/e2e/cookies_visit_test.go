package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/consentgate/consentgate/test/cookies"
)

// respond writes an answer of the lab's site. The body may be empty.
func respond(status, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
}

// names are those of the cookies in the jar, sorted.
func (l *cookieLab) names(v *visitor, w way) (names []string) {
	l.t.Helper()
	for _, c := range l.jar(v, cookies.Host, false, w) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// TestCookiesChromiumF6 is a page whose redirect, document, picture, style sheet,
// script, frame, failed request and unmodified file all set cookies.
func TestCookiesChromiumF6(t *testing.T) {
	l := newCookieLab(t)
	set := func(name string) string {
		return "Set-Cookie: " + name + "=1; Path=/\r\nSet-Cookie: own" + name + "=1; Path=/\r\n"
	}
	const plain = "Content-Type: text/plain\r\n"
	want := map[bool][]string{}
	for _, name := range []string{"_ga", "_fbp", "_gid", "_gat", "_clck", "_uetsid", "hubspotutk", "_ttp"} {
		want[false] = append(want[false], "own"+name)
		want[true] = append(want[true], name, "own"+name)
	}
	for _, w := range ways {
		l.serve("/go", respond("302 Found", "Location: /f6\r\n"+set("_ga"), ""))
		l.serve("/f6", respond("200 OK", "Content-Type: text/html\r\nCache-Control: no-store\r\n"+set("_fbp"),
			"<!DOCTYPE html><link rel=stylesheet href=/f6.css><script src=/f6.js></script><img src=/f6.gif><iframe src=/f6frame></iframe>"))
		l.serve("/f6.css", respond("200 OK", "Content-Type: text/css\r\nCache-Control: no-store\r\n"+set("_gid"), "p{}"))
		l.serve("/f6.js", respond("200 OK", "Content-Type: text/javascript\r\nCache-Control: no-store\r\n"+set("_gat"), "0"))
		l.serve("/f6.gif", respond("200 OK", "Content-Type: image/gif\r\nCache-Control: no-store\r\n"+set("_clck"), "GIF89a"))
		l.serve("/f6frame", respond("200 OK", "Content-Type: text/html\r\nCache-Control: no-store\r\n"+set("_uetsid"), "<p>x"))
		l.serve("/f6missing", respond("404 Not Found", plain+set("hubspotutk"), "no"))
		// The second answer says 304, and the browser has no reason to ask twice but ours.
		l.serve("/f6file", respond("200 OK", plain+"ETag: \"1\"\r\nCache-Control: no-cache\r\n", "x"),
			"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: no-cache\r\n"+set("_ttp")+"\r\n")
		v := l.visitor(t)
		l.clear(v, cookies.Host, false, w)
		v.visit(l.base(cookies.Host, false, w) + "/go")
		if got := l.ask(v, "/f6file", "/f6file", "/f6missing"); got != "200" {
			t.Errorf("%s: the file is answered %s", w.name, got)
		}
		if got, want := l.names(v, w), want[!w.gated || w.granted]; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: stored %q, want %q", w.name, got, want)
		}
		v.close()
	}
}

// oddCookies are what a browser may hold from before the gateway, or from scripts.
var oddCookies = []struct {
	name, value string
	held        bool
}{
	{"c", "x y", false},
	{"_ga", "GA1.1.1.1", true},
	{"q", `"quoted"`, false},
	{"half", `a"b`, false},
	{"_fbp", `"fb.1"`, true},
	{"json", `{"a":1,"b":[2]}`, false},
	{"ümlaut", "übel", false},
	{"_hjid", "ü", true},
	{"list[0]", "1,2", false},
	{"back\\slash", `\`, false},
	{"a:b/c", "=", false},
	{"", "bare", true},
	{"_GA", "1", false},
	{"\u2000_ga", "1", false},
	{`"_ga"`, "1", false},
	{"my name", "1", false},
	{"$Version", "1", false},
	{"_ga_ABC", "x y z", true},
	{"empty", "", false},
	{"PHPSESSID", "abc", false},
}

// TestCookieChromiumF1 has Chromium send a jar of odd cookies: the site gets the
// very bytes it gets without the gateway, less the pairs that are held.
func TestCookieChromiumF1(t *testing.T) {
	l := newCookieLab(t)
	v := l.visitor(t)
	for _, secure := range []bool{false, true} { // HTTP/1.1, and HTTP/2 with a field for each cookie
		lines := make(map[way]string)
		for _, w := range ways {
			l.clear(v, cookies.Host, secure, w)
			for _, c := range oddCookies {
				v.plant(&network.Cookie{Name: c.name, Value: c.value, Domain: cookies.Host, Path: "/"})
			}
			v.visit(l.base(cookies.Host, secure, w) + "/odd")
			got := l.took(secure, w, "/odd")
			if len(got) != 1 {
				t.Fatalf("%s, HTTPS %v: the site got %q, want one line", w.name, secure, got)
			}
			lines[w] = got[0]
		}
		whole := lines[ways[0]]
		pairs := strings.Split(whole, "; ")
		if len(pairs) != len(oddCookies) {
			t.Fatalf("Chromium sends %d of %d cookies: %q", len(pairs), len(oddCookies), whole)
		}
		for _, c := range oddCookies {
			pair := c.name + "=" + c.value
			if c.name == "" {
				pair = c.value
			}
			if !slices.Contains(pairs, pair) {
				t.Errorf("Chromium does not send %q: %q", pair, whole)
			}
			if c.held {
				pairs = slices.DeleteFunc(pairs, func(p string) bool { return p == pair })
			}
		}
		if got, want := lines[ways[1]], strings.Join(pairs, "; "); got != want {
			t.Errorf("%s, HTTPS %v: the site got %q, want %q", ways[1].name, secure, got, want)
		}
		if got := lines[ways[2]]; got != whole {
			t.Errorf("%s, HTTPS %v: the site got %q, want %q", ways[2].name, secure, got, whole)
		}
	}
}

// everyPlace are vendors' cookies where a page below "/de/shop/" can set them.
var everyPlace = []string{
	"_ga=host; Path=/", "_ga=domain; Path=/; Domain=shop.test", "_ga=www; Path=/; Domain=www.shop.test",
	"_ga=dir; Path=/de/shop", "_ga=slash; Path=/de/shop/", "_ga=up; Path=/de; Domain=shop.test", "_ga=upslash; Path=/de/",
	"_fbp=script; Path=/; Domain=shop.test; Max-Age=7776000", "_fbp=dir; Path=/de/shop; HttpOnly",
}

// securePlaces are those only HTTPS has.
var securePlaces = []string{
	"__Secure-_ga=1; Path=/; Secure", "__Host-_ga=1; Path=/; Secure", "__Http-_fbp=1; Path=/; Secure; HttpOnly",
	"_ga=partitioned; Path=/; Secure; Partitioned; SameSite=None", "_ga=pdomain; Path=/; Domain=shop.test; Secure; Partitioned; SameSite=None",
}

// TestDeletionChromiumF10 is a visitor who grants everything, is given vendors'
// cookies at every place the gateway tries, and withdraws: Chromium keeps none.
func TestDeletionChromiumF10(t *testing.T) {
	l := newCookieLab(t)
	for _, c := range []struct {
		name   string
		secure bool
		set    []string
	}{
		{"http", false, everyPlace},
		{"https", true, everyPlace},
		{"https, prefixes and partitions", true, securePlaces},
	} {
		kept := []string{"theme=dark; Path=/", "PHPSESSID=1; Path=/; HttpOnly", "theme=shop; Path=/de/shop; Domain=shop.test", "_GA=1; Path=/"}
		l.serve("/de/shop/set", respond("200 OK", "Content-Type: text/plain\r\nSet-Cookie: "+strings.Join(append(slices.Clone(c.set), kept...), "\r\nSet-Cookie: ")+"\r\n", "ok"))
		w := ways[1]
		base := l.base(cookies.Host, c.secure, w)
		v := l.visitor(t)
		v.say(base, "/de/shop/page", "grant-all")
		if got := l.ask(v, "/de/shop/set"); got != "200" {
			t.Fatalf("%s: answered %s", c.name, got)
		}
		// The choice itself is one more.
		if got := l.jar(v, cookies.Host, c.secure, w); len(got) != len(c.set)+len(kept)+1 {
			t.Fatalf("%s: after all was granted %d cookies, want %d: the test is blind", c.name, len(got), len(c.set)+len(kept)+1)
		}
		v.say(base, "/de/shop/page", "withdraw")
		var left []string
		for _, c := range l.jar(v, cookies.Host, c.secure, w) {
			if c.Name == "cg" || c.Name == "__Host-cg" {
				if days := time.Until(time.Unix(int64(c.Expires), 0)).Hours() / 24; days < 180 || days > 400 {
					t.Errorf("the choice is kept for %.0f days", days)
				}
				continue
			}
			left = append(left, c.Name+" "+c.Value)
		}
		slices.Sort(left)
		if want := []string{"PHPSESSID 1", "_GA 1", "theme dark", "theme shop"}; !slices.Equal(left, want) {
			t.Errorf("%s: after the withdrawal %q are left, want %q", c.name, left, want)
		}
		v.close()
	}
}
