package cookies

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// vendorAnswer sets a vendor's cookie: whether it passes tells what the gateway
// took the visitor for.
const vendorAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: _ga=1\r\n\r\n"

// ownWires are connections to the gateway by whether they are HTTPS, each with
// the cookie of a visitor who granted everything.
func ownWires(t *testing.T) map[bool]*wire {
	g, _ := start(t, func(string) string { return vendorAnswer })
	return map[bool]*wire{false: dial(t, g.Addr(gate.Plain, "site")), true: dialTLS(t, g.Addr(gate.H1, "site"))}
}

// TestOwnCookieF7 offers our cookie as somebody else may have planted it: beside
// another one, under a name that only looks like ours, or from plain HTTP.
func TestOwnCookieF7(t *testing.T) {
	wires := ownWires(t)
	plain, secure := gate.Granted(gate.Plain), gate.Granted(gate.H1)
	value := strings.TrimPrefix(plain, "cg=")
	denied := value[:strings.LastIndexByte(value, '~')+1]
	for _, c := range []struct {
		name    string
		secure  bool
		lines   []string
		granted bool
	}{
		{"alone", false, []string{plain}, true},
		{"alone", true, []string{secure}, true},
		{"among others", true, []string{"a=1; " + secure + "; b=2"}, true},
		{"blanks around", true, []string{"a=1;  __Host-cg = " + value + " \t; b=2"}, true},
		{"twice the same", true, []string{secure + "; " + secure}, true},
		{"another first, of a longer path", false, []string{"cg=" + denied + "; " + plain}, false},
		{"another last, of the parent domain", false, []string{plain + "; cg=" + denied}, false},
		{"another in a second line", true, []string{secure, "__Host-cg=" + denied}, false},
		{"another that is none", true, []string{secure + "; __Host-cg="}, false},
		{"another in the quotes of a third", true, []string{secure + `; a="; __Host-cg=x; b="`}, false},
		{"plain name on HTTPS", true, []string{plain}, false},
		{"plain name on HTTPS beside ours", true, []string{"cg=" + denied + "; " + secure}, true},
		{"prefix on plain HTTP", false, []string{secure}, false},
		{"prefix in small letters", true, []string{"__host-cg=" + value}, false},
		{"en quad before the prefix", true, []string{"\xe2\x80\x80__Host-cg=" + value}, false},
		{"no-break space before the prefix", true, []string{"\xa0__Host-cg=" + value}, false},
		{"en quad, beside a denial", true, []string{"__Host-cg=" + denied + "; \xe2\x80\x80__Host-cg=" + value}, false},
		{"quoted", true, []string{`__Host-cg="` + value + `"`}, false},
		{"quoted name", true, []string{`"__Host-cg"=` + value}, false},
		{"behind an equals sign", true, []string{"=" + secure}, false},
		{"escaped", true, []string{"__Host-cg=" + strings.ReplaceAll(value, "~", "%7E")}, false},
		{"another case of the ids", true, []string{"__Host-cg=" + strings.ToUpper(value)}, false},
		{"dollar attributes", true, []string{secure + "; $Path=/; $Domain=x"}, true},
		{"cut by a comma", true, []string{"a=1, " + secure}, false},
	} {
		var lines []string
		for _, line := range c.lines {
			lines = append(lines, "Cookie: "+line)
		}
		status, header := wires[c.secure].ask("/", lines...)
		if got := len(cookieLines(header)) > 0; status != http.StatusOK || got != c.granted {
			t.Errorf("%s, HTTPS %v: %d, taken for granted %v, want %v", c.name, c.secure, status, got, c.granted)
		}
	}
}

var ownGolden = map[bool]*regexp.Regexp{
	false: regexp.MustCompile(`^cg=[0-9A-Za-z~._-]+; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax$`),
	true:  regexp.MustCompile(`^__Host-cg=[0-9A-Za-z~._-]+; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure$`),
}

// TestOwnCookieF9 is the form of our cookie, with the prefix where browsers take
// it (F8) and without on plain HTTP.
func TestOwnCookieF9(t *testing.T) {
	for secure, w := range ownWires(t) {
		for _, form := range []string{"action=grant-all", "action=deny-all", "action=withdraw", "action=save&category=analytics"} {
			status, header := w.choose(form)
			got := cookieLines(header)
			if status != http.StatusSeeOther || len(got) != 1 || !ownGolden[secure].MatchString(got[0]) {
				t.Errorf("HTTPS %v, %s: %d, %q", secure, form, status, got)
				continue
			}
			pair, _, _ := strings.Cut(got[0], ";")
			_, header = w.ask("/", "Cookie: "+pair)
			if granted := len(cookieLines(header)) > 0; granted != (form == "action=grant-all" || strings.Contains(form, "save")) {
				t.Errorf("HTTPS %v, %s: afterwards granted %v", secure, form, granted)
			}
		}
	}
}

// TestOwnCookieF11 puts line breaks wherever a visitor's bytes come near a header
// of the answer to a choice.
func TestOwnCookieF11(t *testing.T) {
	w := ownWires(t)[false]
	const evil = "%0d%0aSet-Cookie:%20evil=1%0d%0aX-Evil:%201"
	for _, c := range []struct {
		form    string
		cookies string
		status  int
	}{
		{"action=deny-all&return_to=/" + evil, "", http.StatusBadRequest},
		{"action=deny-all&return_to=/%250d%250aSet-Cookie:%2520evil=1", "", http.StatusBadRequest}, // escaped twice
		{"action=save&category=analytics" + evil, "", http.StatusBadRequest},
		{"action=deny-all" + evil, "", http.StatusBadRequest},
		{"action=deny-all&return_to=/%00", "", http.StatusBadRequest},
		{"action=deny-all&return_to=/a%3Bevil=1", "_ga=1", http.StatusSeeOther},
		{"action=deny-all", "_ga_" + evil + "=1", http.StatusSeeOther},
		{"action=deny-all", "_ga_\"; evil=1; _gat,x=1; _gat\\x=1", http.StatusSeeOther},
	} {
		var lines []string
		if c.cookies != "" {
			lines = append(lines, "Cookie: "+c.cookies)
		}
		status, header := w.choose(c.form, lines...)
		if status != c.status {
			t.Errorf("%s, %s: %d, want %d", c.form, c.cookies, status, c.status)
		}
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			if strings.EqualFold(name, "X-Evil") || strings.EqualFold(name, "Set-Cookie") && !ownGolden[false].MatchString(value) && !deletion.MatchString(value) {
				t.Errorf("%s, %s: %q", c.form, c.cookies, line)
			}
		}
	}
}

var deletion = regexp.MustCompile(`^_ga[^=;"\\,\s]*=; Path=/[^;\s]*(; Domain=[a-z0-9.-]+)?; Max-Age=0$`)

// TestOwnCookieF12 lets a visitor withdraw who has more cookies than deletions
// fit into an answer.
func TestOwnCookieF12(t *testing.T) {
	for secure, w := range ownWires(t) {
		for _, n := range []int{0, 1, 30, 300} {
			pairs := []string{gate.Granted(map[bool]gate.Proto{false: gate.Plain, true: gate.H1}[secure])}
			for i := range n {
				pairs = append(pairs, fmt.Sprintf("_ga_STREAM%03d=GS1.1.1", i))
			}
			status, header := w.choose("action=withdraw&return_to=/de/shop/page", "Cookie: "+strings.Join(pairs, "; "))
			size := len("HTTP/1.1 303 See Other\r\n\r\n")
			for _, line := range header {
				size += len(line) + len("\r\n")
			}
			gone := len(cookieLines(header)) - 1
			if status != http.StatusSeeOther || size > 4<<10 || gone < min(n, 20) || !ownGolden[secure].MatchString(cookieLines(header)[0]) {
				t.Errorf("HTTPS %v, %d cookies: %d, %d deletions, %d bytes of header", secure, n, status, gone, size)
			}
			names := make(map[string]bool)
			for _, line := range cookieLines(header)[1:] {
				if len(names) < min(n, 20) {
					name, _, _ := strings.Cut(line, "=")
					if names[name] {
						t.Errorf("HTTPS %v, %d cookies: %s has a second deletion before others have one", secure, n, name)
					}
					names[name] = true
				}
			}
		}
	}
}
