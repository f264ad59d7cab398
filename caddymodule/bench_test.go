package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkGateway serves files through a whole Caddy and reports the CPU time a
// request takes, the client's share included:
//
//	go test -run '^$' -bench Gateway ./caddymodule
func BenchmarkGateway(b *testing.B) {
	index, err := os.ReadFile("../test/site/index.html")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for name, size := range map[string]int{"10k.html": 10 << 10, "300k.html": 300 << 10, "300k.bin": 300 << 10} {
		data := bytes.Replace(index, []byte("</body>"), append(bytes.Repeat([]byte("<p class=\"x\">Some text <a href=\"/y\">of</a> a page.</p>\n"),
			max(0, size-len(index))/56), "</body>"...), 1)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, bm := range []struct{ name, lines, cookie string }{
		{"bare", "", ""},
		{"undecided", "consent", ""},
		{"granted", "consent", granted(b)},
	} {
		for _, file := range []string{"10k.html", "300k.html", "300k.bin"} {
			b.Run(bm.name+"/"+file, func(b *testing.B) {
				g := start(b, "root "+dir+"\n"+bm.lines+"\nfile_server")
				client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
				defer client.CloseIdleConnections()
				req, err := http.NewRequest(http.MethodGet, "http://"+g.addr+"/"+file, nil)
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Cookie", bm.cookie)
				req.Header.Set("Accept", "text/html")
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					resp, err := client.Do(req)
					if err != nil {
						b.Fatal(err)
					}
					n, err := io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != http.StatusOK {
						b.Fatal(resp.Status, err)
					}
					b.SetBytes(n)
				}
				b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
