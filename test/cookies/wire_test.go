package cookies

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/test/gate"
)

// start puts the gateway in front of a site that gives the cases' answers:
// "/set?7" is the seventh case.
func start(t *testing.T, answer func(target string) string) (*gate.Gate, *Site) {
	t.Helper()
	s := StartSite(t, nil, answer)
	return gate.Start(t, gate.Config{Sites: map[string]string{"site": "consent\nreverse_proxy " + s.Addr, "bare": "reverse_proxy " + s.Addr}}), s
}

// A wire is a connection to the gateway over which any bytes go.
type wire struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t, conn, bufio.NewReader(conn)}
}

// dialTLS is dial for HTTP/1.1 over TLS.
func dialTLS(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t, conn, bufio.NewReader(conn)}
}

// ask sends a request with raw header lines, and returns the status and the raw
// header lines of the answer.
func (w *wire) ask(target string, lines ...string) (status int, header []string) {
	w.t.Helper()
	w.send("GET "+target+" HTTP/1.1\r\nHost: "+w.conn.RemoteAddr().String(), "", lines)
	return w.head(target)
}

// choose is ask for a form sent to the choice endpoint.
func (w *wire) choose(form string, lines ...string) (status int, header []string) {
	w.t.Helper()
	lines = append(lines, "Content-Type: application/x-www-form-urlencoded", "Content-Length: "+strconv.Itoa(len(form)), "Sec-Fetch-Site: same-origin")
	w.send("POST /_cg/choice HTTP/1.1\r\nHost: "+w.conn.RemoteAddr().String(), form, lines)
	return w.head("choice")
}

func (w *wire) send(head, body string, lines []string) {
	w.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(20 * time.Second))
	for _, line := range lines {
		head += "\r\n" + line
	}
	if _, err := w.conn.Write([]byte(head + "\r\n\r\n" + body)); err != nil {
		w.t.Fatal(err)
	}
}

// head reads the head of an answer, and its body if it has one.
func (w *wire) head(target string) (status int, header []string) {
	w.t.Helper()
	length := 0
	for i := 0; ; i++ {
		line, err := w.r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("%s: %v", target, err)
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch {
		case i == 0:
			status, _ = strconv.Atoi(strings.Fields(line)[1])
		case line == "":
			if _, err := w.r.Discard(length); err != nil {
				w.t.Fatalf("%s: %v", target, err)
			}
			return status, header
		default:
			header = append(header, line)
			if n, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length, _ = strconv.Atoi(n)
			}
		}
	}
}

// judged is what the built-in policy says of a cookie name.
func judged(host, name string) Verdict {
	if policy.Default().Bind(consent.State{}, host).SetCookie(name).Action == policy.Allow {
		return Kept
	}
	return Held
}

// cookieLines returns the values of the Set-Cookie fields among raw lines.
func cookieLines(header []string) (values []string) {
	for _, line := range header {
		if v, ok := strings.CutPrefix(line, "Set-Cookie: "); ok {
			values = append(values, v)
		}
	}
	return values
}

// TestSetCookieF4 sends every line of the table to a visitor who said nothing and
// to one who granted everything: what passes is byte-equal and in order, what
// does not is gone.
func TestSetCookieF4(t *testing.T) {
	answers, err := Answers()
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) < 200 {
		t.Fatalf("only %d cases", len(answers))
	}
	g, _ := start(t, func(target string) string {
		i, err := strconv.Atoi(strings.TrimPrefix(target, "/set?"))
		if err != nil {
			return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		}
		return answers[i].Response()
	})
	w, bare := dial(t, g.Addr(gate.Plain, "site")), dial(t, g.Addr(gate.Plain, "bare"))
	lines := 0
	for i, a := range answers {
		if status, _ := bare.ask(fmt.Sprintf("/set?%d", i)); a.Refused != (status == http.StatusBadGateway) {
			t.Errorf("set-cookie.txt:%d: %s: without the gateway %d", a.Line, a.Name, status)
		}
		for _, granted := range []bool{false, true} {
			var fields, want []string
			if granted {
				fields = []string{"Cookie: " + gate.Granted(gate.Plain)}
			}
			for _, f := range a.Fields {
				lines++
				if f.Verdict.Passes(granted) {
					want = append(want, f.Tidied)
				}
			}
			code := http.StatusOK
			if a.Refused {
				want, code = nil, http.StatusBadGateway
			}
			status, header := w.ask(fmt.Sprintf("/set?%d", i), fields...)
			if got := cookieLines(header); status != code || !slices.Equal(got, want) {
				t.Errorf("set-cookie.txt:%d: %s, granted %v: %d, %q, want %q", a.Line, a.Name, granted, status, got, want)
			}
		}
	}
	t.Logf("%d cases, %d lines sent", len(answers), lines)
}
