package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/test/cookies"
)

// What lines are put together from. Control bytes are missing: one of them and
// Caddy refuses the whole response.
var (
	lineNames  = []string{"_ga", "_ga", "_fbp", "_ga_X1", "__Secure-_ga", "__Host-_gid", "PHPSESSID", "theme", "cg", "", "_GA", `"_ga"`, "\xc2\xa0_ga", "$_ga"}
	lineBlanks = []string{"", "", "", "", " ", "\t", "  ", " \t "}
	lineJoins  = []string{"=", "=", "=", "=", "==", "", "=;", ";=", ",", ":"}
	lineValues = []string{"1", "GA1.1.1", "", `"q"`, `"a`, `b"`, "x y", "_fbp=2", "a,b", "{}", "\xff", "\\", "é"}
	lineWords  = []string{"Path=/", "Domain=shop.test", "Domain=www.shop.test", "Domain=", "Secure", "HttpOnly", "SameSite=Lax", "SameSite=None", "Partitioned",
		"Max-Age=0", "Max-Age=-1", "Max-Age=1000", "Max-Age=", "Max-Age", "max-age = 0", "Max-Age=0x", "Max-Age=+0", "Max-Age=\"0\"", "Max-Age=0 0", "Max-Age=00", "Max-Age=-",
		"x", "=", "", "x=y=z", "_ga=1", "Expires"}
	dateParts = [][]string{
		{"01", "1", "12", "29th", "1st", "31", "001"},
		{"Jan", "jan", "January", "Jan\xe9", "Dec", "Foo"},
		{"1970", "2020", "2020", "70", "69", "99", "1970AD", "19700", "2099"},
		{"00:00:00", "0:0:0", "12:00:00", "00:00", "12:00:00pm", "24:00:00"},
		{"", "", "GMT", "+0100", "Thu", "70", "2x", "T00:00:00Z", "é", "\"", "(2099)"},
	}
	dateBlanks = []string{" ", "-", ", ", " ", "/", "."}
	answerDate = []string{"", "", "", "Thu, 01 Jan 2015 00:00:00 GMT", "Thu Jan  1 00:00:00 2015", "01 Jan 2015", "2015-01-01", "soon", "Fri, 01 Jan 2100 00:00:00 GMT"}
)

func oneOf(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

// mixedLine puts a Set-Cookie line together.
func mixedLine(r *rand.Rand) string {
	var b strings.Builder
	blank := func(s string) { b.WriteString(oneOf(r, lineBlanks) + s + oneOf(r, lineBlanks)) }
	blank(oneOf(r, lineNames))
	b.WriteString(oneOf(r, lineJoins))
	blank(oneOf(r, lineValues))
	for range r.IntN(4) {
		b.WriteString(";")
		if r.IntN(2) == 0 {
			blank(oneOf(r, lineWords))
			continue
		}
		date := "Expires="
		for _, i := range r.Perm(len(dateParts)) {
			part := dateParts[i]
			if r.IntN(2) == 0 {
				part = part[:1] // the usual one
			}
			date += oneOf(r, part) + oneOf(r, dateBlanks)
		}
		blank(date)
	}
	return b.String()
}

// TestSetCookieChromiumMixed sends lines nobody thought of: whatever Chromium
// makes of them, it stores no vendor's cookie of a visitor who said nothing.
func TestSetCookieChromiumMixed(t *testing.T) {
	l := newCookieLab(t)
	v := l.visitor(t)
	const answers, lines = 150, 20
	held := policy.Default().Bind(consent.State{}, cookies.Host)
	vendors, passed := 0, 0
	for _, w := range ways[:2] {
		v.visit(l.base(cookies.Host, true, w) + "/")
		l.clear(v, cookies.Host, true, w)
		r := rand.New(rand.NewPCG(1, 2026))
		for i := range answers {
			header := "Content-Type: text/plain\r\nCache-Control: no-store\r\n"
			if date := oneOf(r, answerDate); date != "" {
				header += "Date: " + date + "\r\n"
			}
			for range lines {
				header += "Set-Cookie: " + mixedLine(r) + "\r\n"
			}
			target := fmt.Sprintf("/mixed%d", i)
			l.serve(target, respond("200 OK", header, "ok"))
			if got := l.ask(v, target); got != "200" {
				t.Fatalf("%s: answered %s to %q", w.name, got, header)
			}
			jar := l.jar(v, cookies.Host, true, w)
			for _, c := range jar {
				blocked := held.SetCookie(c.Name).Action == policy.Block || c.Name == "cg" || c.Name == "__Host-cg"
				switch {
				case blocked && w.gated:
					t.Errorf("Chromium stores %s=%s of %q", c.Name, c.Value, header)
				case blocked:
					vendors++
				case w.gated:
					passed++
				}
			}
			if len(jar) > 0 {
				l.clear(v, cookies.Host, true, w)
			}
		}
	}
	if vendors < 300 || passed < 300 {
		t.Errorf("only %d cookies of vendors without the gateway and %d others behind it: the test is blind", vendors, passed)
	}
	t.Logf("%d lines: %d cookies of vendors stored without the gateway, none behind it; %d others", answers*lines, vendors, passed)
}
