package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/test/cookies"
)

// A cookieLab is a site that answers with any bytes, with and without the
// gateway, under the same names: cookies do not know ports.
type cookieLab struct {
	t       testing.TB
	answers []cookies.Answer
	sites   map[bool]*cookies.Site // by whether it speaks HTTPS
	ports   map[bool]string        // of the gateway, likewise
	browser *browser

	mu    sync.Mutex
	pages map[string][]string // further answers by target: each is given once, the last one for ever
}

func newCookieLab(t testing.TB) *cookieLab {
	t.Helper()
	findChromium(t)
	answers, err := cookies.Answers()
	if err != nil {
		t.Fatal(err)
	}
	l := &cookieLab{t: t, answers: answers, sites: make(map[bool]*cookies.Site), ports: make(map[bool]string), pages: make(map[string][]string)}
	l.sites[false] = cookies.StartSite(t, nil, l.answer)
	l.sites[true] = cookies.StartSite(t, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}, l.answer)

	var rules, plain []string
	hosts := []string{cookies.Host}
	for _, a := range answers {
		if !slices.Contains(hosts, a.Host) {
			hosts = append(hosts, a.Host)
		}
	}
	s := startSink(t)
	for secure := range l.sites {
		_, l.ports[secure], _ = net.SplitHostPort(freeAddr(t))
	}
	for _, host := range hosts {
		rules = append(rules, "MAP "+host+" 127.0.0.1")
		plain = append(plain, "http://"+host+":"+l.ports[false])
	}
	loadCaddy(t, fmt.Sprintf(`{
	admin off
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system %s
	log {
		level FATAL
	}
	servers {
		protocols h1 h2
	}
}
%s {
	bind 127.0.0.1
	consent
	reverse_proxy %s
}
https://%s:%s {
	bind 127.0.0.1
	tls internal
	consent
	reverse_proxy %[3]s
}
`, t.TempDir(), strings.Join(plain, ", "), l.sites[false].Addr, cookies.Host, l.ports[true]))
	l.browser = launch(t, s, append(append(rules, ownRules()...), "MAP * "+s.addr), nil)
	return l
}

// serve makes the site give answers for a target, one after the other.
func (l *cookieLab) serve(target string, answers ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages[target] = answers
}

// answer is what the site says: "/c/set?7" is the seventh case, all else a page.
func (l *cookieLab) answer(target string) string {
	l.mu.Lock()
	list := l.pages[target]
	if len(list) > 1 {
		l.pages[target] = list[1:]
	}
	l.mu.Unlock()
	if len(list) > 0 {
		return list[0]
	}
	if n, ok := strings.CutPrefix(target, "/c/set?"); ok {
		if i, err := strconv.Atoi(n); err == nil && i < len(l.answers) {
			return l.answers[i].Response()
		}
	}
	const page = "<!DOCTYPE html><title>x</title>"
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
}

// visitor is a visitor whose visits end as soon as the page is there.
func (l *cookieLab) visitor(t *testing.T) *visitor {
	t.Helper()
	v := l.browser.visitor(t)
	v.Scroll = false
	return v
}

// A way is how the visitor reaches the site.
type way struct {
	name    string
	gated   bool
	granted bool
}

var ways = []way{{name: "without the gateway"}, {name: "undecided", gated: true}, {name: "all granted", gated: true, granted: true}}

// base returns the site's address by a way.
func (l *cookieLab) base(host string, secure bool, w way) string {
	scheme, port := "http", l.ports[secure]
	if secure {
		scheme = "https"
	}
	if !w.gated {
		_, port, _ = net.SplitHostPort(l.sites[secure].Addr)
	}
	return scheme + "://" + host + ":" + port
}

// took returns the Cookie lines the site got with the last request for a target.
func (l *cookieLab) took(secure bool, w way, target string) []string {
	lines, _ := l.sites[secure && !w.gated].Took(target)
	return lines
}

// ask sends requests from the open page, one after the other, and returns the
// status of the first, "0" if the browser took no answer.
func (l *cookieLab) ask(v *visitor, targets ...string) string {
	l.t.Helper()
	const script = `%q.split(' ').map(p => { const x = new XMLHttpRequest(); x.open('GET', p, false); try { x.send() } catch { return 0 } return x.status })[0]`
	return v.text(fmt.Sprintf(script, strings.Join(targets, " ")))
}

// clear empties the jar but for the choice of a visitor who granted everything.
func (l *cookieLab) clear(v *visitor, host string, secure bool, w way) {
	l.t.Helper()
	if _, err := chromedp.Call(v.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		l.t.Fatal(err)
	}
	if !w.granted {
		return
	}
	sc := policy.Default().Scheme()
	line := (&consent.Resolver{Scheme: sc}).SetCookie(consent.Choice{Granted: sc.Optional(), At: time.Now()}, secure)
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	v.plant(&network.Cookie{Name: name, Value: value, Domain: host, Path: "/", Secure: secure})
}

// jar returns the site's cookies but the choice. The browser may have others, of
// its own business with the sink.
func (l *cookieLab) jar(v *visitor, host string, secure bool, w way) (jar []*network.Cookie) {
	l.t.Helper()
	for _, c := range v.cookies() {
		choice := w.granted && c.Name == (&consent.Resolver{}).Name(secure) && c.Domain == host
		if !choice && (strings.HasSuffix("."+c.Domain, ".shop.test") || c.Domain == host) {
			jar = append(jar, c)
		}
	}
	return jar
}

// TestSetCookieChromium has Chromium judge the table of Set-Cookie lines: what it
// stores and sends is what the table says; behind the gateway a visitor who said
// nothing is left with the cookies that are not held back, exactly as the site set
// them, and one who granted everything with all but those in our name.
func TestSetCookieChromium(t *testing.T) {
	l := newCookieLab(t)
	v := l.visitor(t)
	type place struct {
		host   string
		secure bool
	}
	cases := make(map[place][]int)
	for i, a := range l.answers {
		p := place{a.Host, a.HTTPS}
		cases[p] = append(cases[p], i)
	}
	alone := make(map[string]*network.Cookie) // as stored without the gateway
	tried, stored := 0, 0
	for p, list := range cases {
		for _, w := range ways {
			v.visit(l.base(p.host, p.secure, w) + "/")
			l.clear(v, p.host, p.secure, w)
			for _, i := range list {
				a := &l.answers[i]
				echo := "/c/echo?" + strconv.Itoa(i)
				status := l.ask(v, "/c/set?"+strconv.Itoa(i), echo)
				if want := wantStatus(a, w); status != want {
					t.Errorf("set-cookie.txt:%d: %s, %s: status %s, want %s", a.Line, a.Name, w.name, status, want)
				}
				jar := l.jar(v, p.host, p.secure, w)
				checkJar(t, a, w, jar, l.took(p.secure, w, echo))
				for _, c := range jar {
					key := fmt.Sprint(i, c.Name)
					if !w.gated {
						alone[key] = c
						stored++
					} else if err := sameCookie(c, alone[key]); err != nil {
						t.Errorf("set-cookie.txt:%d: %s, %s: %s: %v", a.Line, a.Name, w.name, c.Name, err)
					}
				}
				if tried++; len(jar) > 0 {
					l.clear(v, p.host, p.secure, w)
				}
			}
		}
	}
	t.Logf("%d answers to the browser, %d cookies stored without the gateway", tried, stored)
}

func wantStatus(a *cookies.Answer, w way) string {
	switch {
	case w.gated && a.Refused:
		return "502"
	case a.Failed:
		return "0"
	}
	return "200"
}

// checkJar compares what a case left in the browser, and what the site got with
// the next request, with the table.
func checkJar(t *testing.T, a *cookies.Answer, w way, jar []*network.Cookie, sent []string) {
	t.Helper()
	var want, got, pairs, wantSent []string
	for _, f := range a.Fields {
		if !f.Stores || w.gated && (a.Refused || !f.Verdict.Passes(w.granted)) {
			continue
		}
		want = append(want, f.Cookie+"="+f.Value)
		if f.Sent != "" {
			pairs = append(pairs, f.Sent)
		}
	}
	if len(pairs) > 0 {
		wantSent = []string{strings.Join(pairs, "; ")}
	}
	for _, c := range jar {
		got = append(got, c.Name+"="+c.Value)
		if c.Expires > float64(time.Now().Add(400*24*time.Hour+time.Hour).Unix()) {
			t.Errorf("set-cookie.txt:%d: %s, %s: %s lasts longer than 400 days", a.Line, a.Name, w.name, c.Name)
		}
		if w.gated && !w.granted && policy.Default().Bind(consent.State{}, a.Host).SetCookie(c.Name).Action == policy.Block && !a.Opaque {
			t.Errorf("set-cookie.txt:%d: %s: Chromium stores %s of a visitor who said nothing", a.Line, a.Name, c.Name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if a.Opaque { // the protocol of the debugger knows UTF-8 only
		if len(got) != len(want) {
			t.Errorf("set-cookie.txt:%d: %s, %s: stored %q, want %q", a.Line, a.Name, w.name, got, want)
		}
	} else if !slices.Equal(got, want) {
		t.Errorf("set-cookie.txt:%d: %s, %s: stored %q, want %q", a.Line, a.Name, w.name, got, want)
	}
	if !slices.Equal(sent, wantSent) {
		t.Errorf("set-cookie.txt:%d: %s, %s: the site got %q, want %q", a.Line, a.Name, w.name, sent, wantSent)
	}
}

// sameCookie reports how a cookie differs from the one stored without the gateway.
func sameCookie(c, alone *network.Cookie) error {
	if alone == nil {
		return errors.New("not stored without the gateway")
	}
	key := func(c *network.Cookie) string {
		partition := ""
		if c.PartitionKey != nil {
			partition = c.PartitionKey.TopLevelSite
		}
		return fmt.Sprint(c.Domain, " ", c.Path, " http ", c.HTTPOnly, " secure ", c.Secure, " session ", c.Session, " ", c.SameSite, " ", c.Priority, " ", partition)
	}
	if got, want := key(c), key(alone); got != want {
		return fmt.Errorf("stored as %s, without the gateway %s", got, want)
	}
	if d := c.Expires - alone.Expires; d < -600 || d > 600 {
		return fmt.Errorf("expires %.0f s later than without the gateway", d)
	}
	return nil
}
