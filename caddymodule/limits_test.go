package caddymodule

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"net/http"
	"runtime"
	runtimemetrics "runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"
)

// peak collects garbage again and again while f runs and returns by how many bytes
// what is alive rose at most.
func peak(f func()) uint64 {
	before := alive()
	most := before
	stop := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				most = max(most, alive())
			}
		}
	})
	f()
	close(stop)
	wg.Wait()
	return most - before
}

// alive returns the bytes of objects that survive a collection.
func alive() uint64 {
	runtime.GC()
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64()
}

// drain reads a page without keeping it and reports its length, what error ended
// it, and whether needle was in it.
func drain(url, needle string) (n int64, found bool, status int, err error) {
	resp, err := plainClient.Get(url)
	if err != nil {
		return 0, false, 0, err
	}
	defer resp.Body.Close()
	buf := make([]byte, 64<<10)
	var last []byte
	for {
		m, err := resp.Body.Read(buf)
		n += int64(m)
		last = append(last, buf[:m]...)
		found = found || bytes.Contains(last, []byte(needle))
		last = append(last[:0], last[max(0, len(last)-len(needle)):]...)
		if err == io.EOF {
			return n, found, resp.StatusCode, nil
		}
		if err != nil {
			return n, found, resp.StatusCode, err
		}
	}
}

// repeated is a site that sends head, then filler again and again until it sent
// size bytes of it, then tail.
func repeated(t *testing.T, head, filler string, size int, tail string) string {
	t.Helper()
	block := bytes.Repeat([]byte(filler), 32<<10/len(filler))
	return raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"+head)
		for sent := 0; sent < size; sent += len(block) {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
		io.WriteString(c, tail)
	})
}

// E4: parts of a page that grow without end are not held.
func TestLimitE4HugeParts(t *testing.T) {
	const needle = "googletagmanager"
	blocked := `<script src="https://www.googletagmanager.com/gtag/js"></script>`
	for name, tc := range map[string]struct {
		head, filler string
		size         int
		tail         string
		live         string // must not arrive
	}{
		"attribute of a script": {`<p>x</p><script data-x="`, "a", 10 << 20, `" src="https://www.googletagmanager.com/gtag/js"></script><p>end</p>`, ` src="https://www.` + needle},
		"attribute of a frame":  {`<p>x</p><iframe src="https://www.googletagmanager.com/ns.html" data-x="`, "a", 10 << 20, `"></iframe><p>end</p>`, ` src="https://www.` + needle},
		"attribute of a text":   {`<p title="`, "a", 10 << 20, `">x</p>` + blocked + `<p>end</p>`, ` src="https://www.` + needle},
		"many attributes":       {`<img `, "a=b c ", 10 << 20, ` src="https://www.facebook.com/tr?id=1"><p>end</p>`, ` src="https://www.facebook`},
		"inline script":         {`<script>var a = 1;`, "a = a + 1; ", 50 << 20, `</script>` + blocked + `<p>end</p>`, ` src="https://www.` + needle},
		"comment":               {`<!-- `, "a - b ", 50 << 20, `-->` + blocked + `<p>end</p>`, ` src="https://www.` + needle},
		"text":                  {`<p>`, "a b ", 50 << 20, blocked + `<p>end</p>`, ` src="https://www.` + needle},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, proxy(repeated(t, tc.head, tc.filler, tc.size, tc.tail)))
			var n int64
			var leaked bool
			var err error
			rise := peak(func() { n, leaked, _, err = drain("http://"+g.addr+"/", tc.live) })
			t.Logf("%d bytes arrived, %v; memory rose by %d KiB", n, err, rise>>10)
			if leaked {
				t.Error("leaked")
			}
			if err == nil && n < int64(tc.size)/100 && !strings.HasPrefix(name, "attribute of a ") && name != "many attributes" {
				t.Errorf("only %d bytes arrived", n)
			}
			if rise > 4<<20 {
				t.Errorf("memory rose by %d KiB", rise>>10)
			}
			limit := map[string]string{"inline script": "max_inline", "comment": "", "text": ""}
			if want, ok := limit[name]; (!ok || want != "") && g.value(`caddy_consent_overlong_total{limit="`+cmp.Or(want, "max_hold")+`"}`) != 1 {
				t.Error("not counted as overlong")
			}
			if n := g.outcome(outcomeRewritten) + g.outcome(outcomeAborted); n != 1 {
				t.Errorf("counted %v times", n)
			}
		})
	}
}

// E1: bombs are broken off, whatever the operator wants to be passed.
func TestLimitE1Bombs(t *testing.T) {
	big := append([]byte("<!DOCTYPE html><title>x</title>"+tracked), bytes.Repeat([]byte("<p>a</p>"), 32<<20/8)...)
	for _, coding := range []string{"gzip", "br", "zstd", "deflate", "gzip, br"} {
		var body []byte
		if coding == "gzip, br" {
			body = encoded(t, "br", encoded(t, "gzip", big))
		} else {
			body = encoded(t, coding, big)
		}
		for _, mode := range []string{policyStrict, policyGuarded, policyObserve} {
			t.Run(coding+" "+mode, func(t *testing.T) {
				g := start(t, proxy(answering(t, page(string(body), "Content-Encoding: "+coding)), "failure_policy "+mode))
				var n int64
				var leaked bool
				var err error
				began := time.Now()
				rise := peak(func() { n, leaked, _, err = drain("http://"+g.addr+"/", live) })
				t.Logf("%d bytes for %d MiB: %d arrived, %v, in %v; memory rose by %d KiB", len(body), len(big)>>20, n, err, time.Since(began), rise>>10)
				if leaked {
					t.Error("leaked")
				}
				if err == nil || n > 4<<20 {
					t.Errorf("%d bytes arrived, %v", n, err)
				}
				if rise > 16<<20 {
					t.Errorf("memory rose by %d KiB", rise>>10)
				}
				if !g.counted(outcomeAborted, 1) || g.bypassed("too_large", remedyBrokenOff) != 1 {
					t.Error("not counted")
				}
			})
		}
	}
	// The operator's own limit.
	t.Run("max_decoded", func(t *testing.T) {
		body := encoded(t, "gzip", []byte(strings.Repeat(randomText(4096), 512))) // 2 MiB that compress little
		addr := answering(t, page(string(body), "Content-Encoding: gzip"))
		g := start(t, proxy(addr, "max_decoded 1MiB"))
		if n, _, _, err := drain("http://"+g.addr+"/", live); err == nil || n > 1<<20 {
			t.Errorf("%d bytes, %v", n, err)
		}
		g = start(t, proxy(addr, "max_decoded 4MiB"))
		if n, _, _, err := drain("http://"+g.addr+"/", live); err != nil || n != 2<<20 {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// randomText returns n bytes without markup that repeat as little as letters allow.
func randomText(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return string(b)
}

// E7: what one stalled page holds is bounded.
func TestLimitE7Stalled(t *testing.T) {
	const pages = 1000
	release := make(chan bool)
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>x</p><script data-x=\""+strings.Repeat("a", 8<<10))
		<-release
	})
	g := start(t, proxy(addr))
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	var responses sync.WaitGroup
	rise := peak(func() {
		for range pages {
			responses.Go(func() {
				resp, err := client.Get("http://" + g.addr + "/")
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		time.Sleep(1500 * time.Millisecond)
	})
	close(release)
	responses.Wait()
	client.CloseIdleConnections()
	// The connections of visitor, gateway and site, all in this process, hold
	// most of it.
	t.Logf("%d stalled pages: memory rose by %d KiB, %d KiB each, client and site included", pages, rise>>10, rise>>10/pages)
	if rise/pages > 150<<10 {
		t.Errorf("memory rose by %d KiB a page", rise>>10/pages)
	}
}

// F2: a request with more cookies than are looked at gets none of them through.
func TestLimitF2Cookies(t *testing.T) {
	seen := make(chan int, 1)
	addr := raw(t, func(c net.Conn, r *http.Request) {
		seen <- len(strings.Join(r.Header["Cookie"], "; "))
		io.WriteString(c, page(tracked))
	})
	g := start(t, proxy(addr))
	for n, want := range map[int]int{2999: 2999*5 - 2 + 0, 3001: 0} {
		got := g.get("/", "Cookie", strings.Repeat("a=1; ", n-1)+"a=2")
		if arrived := <-seen; arrived != want {
			t.Errorf("%d cookies: %d bytes arrived, want %d", n, arrived, want)
		}
		if strings.Contains(got.body, live) {
			t.Errorf("%d cookies: not rewritten", n)
		}
	}
	if n := g.value(`caddy_consent_cookies_total{action="block",category="too_many",direction="request"}`); n != 1 {
		t.Error("not counted")
	}
}
