package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// A page is cut after each of its bytes in turn: where the gateway cannot know,
// since the site's pages end with their connections, and where it can.
func TestEveryCut(t *testing.T) {
	page := document(sizes[0])
	// The head and one section have everything the others have.
	page = page[:bytes.Index(page, []byte(`<section id="s1"`))]
	addr := listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		framing, at, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, sitePath+"/"), "/")
		n, err := strconv.Atoi(at)
		if err != nil {
			return
		}
		length := ""
		if framing == "length" {
			length = fmt.Sprintf("Content-Length: %d\r\n", len(page))
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n%s\r\n%s", length, page[:n])
	})
	g := gate.Start(t, gate.Config{Sites: map[string]string{"site": "consent\n" + proxied(addr)}})
	client := g.Client(t, gate.Plain)
	ask := func(framing string, n int) (string, error) {
		got, err := gate.TryAsk(client, http.MethodGet, g.URL(gate.Plain, "site", fmt.Sprintf("/%s/%d", framing, n)))
		if err != nil {
			return "", err
		}
		return got.Body, got.Err
	}
	whole, err := ask("length", len(page))
	if err != nil || len(whole) < len(page) || liveReferences([]byte(whole)) != nil {
		t.Fatalf("whole: %d bytes, %v", len(whole), err)
	}

	cuts := make([]int, len(page))
	for n := range cuts {
		cuts[n] = n
	}
	each(8, cuts, func(n int) {
		body, err := ask("length", n)
		if err == nil {
			t.Errorf("of %d bytes, %d: looks complete", len(page), n)
		}
		if !strings.HasPrefix(whole, body) {
			t.Errorf("of %d bytes, %d: %s", len(page), n, differ([]byte(body), []byte(whole)))
		}
		body, err = ask("close", n)
		if err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
		if found := liveReferences([]byte(body)); found != nil {
			t.Errorf("after %d bytes: live: %q", n, found)
		}
		if last := strings.LastIndexByte(body, '<'); !strings.HasPrefix(whole, body[:max(last, 0)]) {
			t.Errorf("after %d bytes: %s", n, differ([]byte(body), []byte(whole)))
		}
	})
	t.Logf("%d cuts, each in two framings", len(cuts))
}
