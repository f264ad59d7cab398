package protocol

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A1. The site sends an event only when the client has the one before.
func rowStreams(e env) {
	step := make(chan int)
	path := e.w.site.on("", func(c net.Conn, _ *http.Request) {
		io.WriteString(c, head("200 OK", "Content-Type: text/event-stream", "Connection: close"))
		for i := range step {
			fmt.Fprintf(c, "data: %d\n\n", i)
		}
	})
	// An encoder outside may keep the headers until the first event.
	req, _ := e.request(http.MethodGet, e.s.name, path, "Accept", "text/event-stream")
	first := make(chan bool)
	go func() {
		step <- 0
		close(first)
	}()
	resp, err := e.c.Do(req)
	if err != nil {
		e.Fatal(err)
	}
	defer resp.Body.Close()
	<-first
	defer close(step)
	br := bufio.NewReader(e.reader(resp))
	for i := range 5 {
		if i > 0 {
			step <- i
		}
		line, err := br.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			e.Fatalf("event %d: got %q, %v", i, line, err)
		}
		if _, err := br.ReadString('\n'); err != nil {
			e.Fatal(err)
		}
	}
}

// A2. An answer of unknown length is flushed as soon as its headers are there.
func rowEarlyFlush(e env) {
	path := e.w.site.on("", func(c net.Conn, _ *http.Request) {
		io.WriteString(c, head("404 Not Found", "Content-Type: text/html", "Connection: close"))
		time.Sleep(20 * time.Millisecond) // for the flush to come first
		io.WriteString(c, tracked)
	})
	got := e.get(path)
	if got.StatusCode != http.StatusNotFound {
		e.Errorf("got %s", got.Status)
	}
	e.isRewritten(got)
}

// A3.
func rowReadFrom(e env) {
	for _, name := range []string{"", "long.html"} {
		e.isRewritten(e.get(filesPath + name))
	}
	got := e.get(filesPath + "blob.bin")
	without := e.ask(http.MethodGet, twin(e.s.name), filesPath+"blob.bin")
	if got.Err != nil || got.page != without.page || !strings.Contains(got.page, live) || got.ContentLength != without.ContentLength {
		e.Errorf("a file that is no page: %v, %d bytes, length %d; without the gateway %d bytes, length %d",
			got.Err, len(got.page), got.ContentLength, len(without.page), without.ContentLength)
	}
}

// A8. The page is cut inside a tag.
func rowBrokenChunks(e env) {
	e.broken(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") +
		"40\r\n<!DOCTYPE html><p>visible</p><scr") // 64 bytes announced
}

// A9.
func rowBrokenLength(e env) {
	e.broken(head("200 OK", "Content-Type: text/html", "Content-Length: 5000") +
		`<!DOCTYPE html><p>visible</p><script src="` + vendor)
}

// broken asks for a page that breaks off.
func (e env) broken(response string) {
	e.Helper()
	aborted := e.counted("aborted", 1)
	got, err := e.tryAsk(http.MethodGet, e.s.name, e.w.site.says(response))
	if err == nil && got.Err == nil {
		e.Errorf("the page looks complete: %s %v %q", got.Status, got.Header, got.Body)
	}
	if strings.Contains(got.page, "<scr") || strings.Contains(got.Body, vendor) {
		e.Errorf("held bytes left: %q", got.page)
	}
	aborted()
}

// A10. Where the end of the connection is the end of the page, a cut cannot be
// seen.
func rowCutTag(e env) {
	for _, cut := range []string{
		`<script src=` + vendor,
		`<script src=` + vendor + `>`,
		`<img src="https://www.facebook.com/tr?id=1`,
	} {
		path := e.w.site.says(head("200 OK", "Content-Type: text/html", "Connection: close") + "<p>visible</p>" + cut)
		got := e.get(path)
		if strings.Contains(got.page, " src=") || !strings.Contains(got.page, "visible") || got.Err != nil {
			e.Errorf("%s: %v, %q", cut, got.Err, got.page)
		}
		if e.p.IsHTTP1() {
			if old := e.rawAsk("GET " + path + " HTTP/1.0\nHost: " + e.host() + "\n\n"); strings.Contains(old, " src=") || !strings.Contains(old, "visible") {
				e.Errorf("%s: HTTP/1.0 got %q", cut, old)
			}
		}
	}
}

// A20. The site sends a piece only when the client has the one before.
func rowNoDelay(e env) {
	pieces := []string{"<!DOCTYPE html><title>x</title><p>one</p>", "<p>two</p>",
		`<script src=` + vendor + `></script><p>tri</p>`, "<p>end</p>"}
	seen := make(chan bool)
	path := e.w.site.on("", func(c net.Conn, _ *http.Request) {
		io.WriteString(c, head("200 OK", "Content-Type: text/html", "Connection: close"))
		for _, p := range pieces {
			io.WriteString(c, p)
			if !<-seen {
				return
			}
		}
	})
	defer close(seen)
	req, _ := e.request(http.MethodGet, e.s.name, path)
	resp, err := e.c.Do(req)
	if err != nil {
		e.Fatal(err)
	}
	defer resp.Body.Close()
	body := e.reader(resp)
	var got bytes.Buffer
	buf := make([]byte, 4096)
	for _, p := range pieces {
		want := p[len(p)-len("<p>two</p>"):]
		for !strings.HasSuffix(got.String(), want) {
			n, err := body.Read(buf)
			got.Write(buf[:n])
			if err != nil && !strings.HasSuffix(got.String(), want) {
				e.Fatalf("waiting for %q: %v after %q", want, err, got.String())
			}
		}
		seen <- true
	}
	rest, err := io.ReadAll(body)
	if err != nil || len(rest) != 0 || strings.Contains(got.String(), " src=") {
		e.Errorf("%v, rest %q, got %q", err, rest, got.String())
	}
}

// A21. Under flush_interval, pages of known length are flushed by a timer, at
// moments of its own.
func rowTimer(e env) {
	text := strings.Repeat("<p>padding</p>", 200) + tracked
	path := e.w.site.on("", func(c net.Conn, _ *http.Request) {
		all := page(text)
		for i := 0; i < len(all); i += 600 {
			io.WriteString(c, all[i:min(i+600, len(all))])
			time.Sleep(time.Millisecond)
		}
	})
	var asking sync.WaitGroup
	answers := make([]answer, 10)
	errs := make([]error, len(answers))
	for i := range answers {
		asking.Go(func() { answers[i], errs[i] = e.tryAsk(http.MethodGet, e.s.name, tickPath+path) })
	}
	asking.Wait()
	for i, got := range answers {
		if errs[i] != nil {
			e.Fatal(errs[i])
		}
		e.isRewritten(got)
	}
}

// A22. Visitors leave in the middle of an endless page.
func rowGone(e env) {
	const visitors = 3
	ended := make(chan bool, visitors)
	path := e.w.site.on("", func(c net.Conn, _ *http.Request) {
		io.WriteString(c, head("200 OK", "Content-Type: text/html", "Connection: close"))
		c.SetWriteDeadline(time.Now().Add(30 * time.Second))
		for {
			if _, err := io.WriteString(c, tracked); err != nil {
				timeout, ok := err.(net.Error)
				ended <- !ok || !timeout.Timeout()
				return
			}
		}
	})
	aborted := e.counted("aborted", visitors)
	for range visitors {
		req, _ := e.request(http.MethodGet, e.s.name, path)
		resp, err := e.c.Do(req)
		if err != nil {
			e.Fatal(err)
		}
		io.CopyN(io.Discard, resp.Body, 1000)
		resp.Body.Close()
	}
	for range visitors {
		if !<-ended {
			e.Error("the site still sends after 30 s")
		}
	}
	aborted()
}
