package cookies

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// TestSetCookieF6 has every status and type of answer set a vendor's cookie
// beside the site's own.
func TestSetCookieF6(t *testing.T) {
	const fields = "Set-Cookie: PHPSESSID=1; Path=/\r\nSet-Cookie: _ga=1; Path=/\r\nset-cookie: _fbp=2\r\nSET-COOKIE: lang=de\r\n"
	bodiless := map[int]bool{204: true, 304: true}
	statuses := []int{200, 201, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 410, 418, 429, 500, 503}
	types := []string{"text/html; charset=utf-8", "image/gif", "text/css", "text/javascript", "application/json", "font/woff2", "text/event-stream", "application/octet-stream", "image/svg+xml", ""}
	answers := make(map[string]string)
	for _, status := range statuses {
		for _, typ := range types {
			b := fmt.Sprintf("HTTP/1.1 %d X\r\n%s", status, fields)
			if typ != "" {
				b += "Content-Type: " + typ + "\r\n"
			}
			if status >= 300 && status < 400 && status != 304 {
				b += "Location: /elsewhere\r\n"
			}
			if status == 206 {
				b += "Content-Range: bytes 0-2/9\r\n"
			}
			if bodiless[status] {
				b += "\r\n"
			} else {
				b += "Content-Length: 3\r\n\r\n<p>"
			}
			answers[fmt.Sprintf("/%d/%s", status, strings.NewReplacer("/", ".", "; ", ".").Replace(typ))] = b
		}
	}
	g, _ := start(t, func(target string) string { return answers[target] })
	w := dial(t, g.Addr(gate.Plain, "site"))
	n := 0
	for target := range answers {
		for _, granted := range []bool{false, true} {
			fields := []string{"Accept: */*"}
			want := []string{"PHPSESSID=1; Path=/", "lang=de"}
			if granted {
				fields = append(fields, "Cookie: "+gate.Granted(gate.Plain))
				want = []string{"PHPSESSID=1; Path=/", "_ga=1; Path=/", "_fbp=2", "lang=de"}
			}
			status, header := w.ask(target, fields...)
			if strings.HasPrefix(target, "/206/text.html") && !granted {
				// Part of a page cannot be rewritten: the answer is the gateway's.
				want = slices.DeleteFunc(want, func(string) bool { return status == http.StatusBadGateway })
			}
			if got := cookieLines(header); !slices.Equal(got, want) {
				t.Errorf("%s, granted %v: %d, %q, want %q", target, granted, status, got, want)
			}
			n++
		}
	}
	t.Logf("%d answers", n)
}

// TestSetCookieInformational is F6 for answers before the answer: nobody's cookie
// passes there, and those of the final one are not doubled.
func TestSetCookieInformational(t *testing.T) {
	const early = "HTTP/1.1 103 Early Hints\r\nLink: </own.css>; rel=preload; as=style\r\nSet-Cookie: _ga=1\r\nSet-Cookie: PHPSESSID=early\r\n\r\n"
	const final = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nSet-Cookie: PHPSESSID=1\r\nSet-Cookie: _ga=2\r\n\r\nok"
	g, _ := start(t, func(string) string { return early + early + final })
	for _, granted := range []bool{false, true} {
		w := dial(t, g.Addr(gate.Plain, "site"))
		var fields []string
		want := []string{"PHPSESSID=1"}
		if granted {
			fields, want = []string{"Cookie: " + gate.Granted(gate.Plain)}, []string{"PHPSESSID=1", "_ga=2"}
		}
		status, header := w.ask("/", fields...)
		hints := 0
		for status == http.StatusEarlyHints {
			hints++
			if got := cookieLines(header); len(got) > 0 {
				t.Errorf("granted %v: 103 with %q", granted, got)
			}
			status, header = w.head("/")
		}
		if got := cookieLines(header); hints != 2 || status != http.StatusOK || !slices.Equal(got, want) {
			t.Errorf("granted %v: %d hints, then %d with %q, want 2 and %q", granted, hints, status, got, want)
		}
	}
}

// TestSetCookieNames holds the table against the policy: the gateway judges a line
// by the name under which Chromium stores its cookie.
func TestSetCookieNames(t *testing.T) {
	answers, err := Answers()
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for _, a := range answers {
		for _, f := range a.Fields {
			if !f.Stores || f.Verdict == Gone || a.Refused {
				continue
			}
			stored++
			if want := judged(a.Host, f.Cookie); f.Verdict != want {
				t.Errorf("set-cookie.txt:%d: %s: %s, but the policy says of %q: %s", a.Line, a.Name, f.Verdict, f.Cookie, want)
			}
		}
	}
	if stored < 100 {
		t.Errorf("only %d cookies are stored", stored)
	}
}
