package rewriter

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy"
)

// heapAfter returns how much the heap in use grew while f ran, at its peak as
// seen by the samples f takes.
func heapGrowth(f func(sample func())) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base, peak := m.HeapAlloc, m.HeapAlloc
	f(func() {
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	})
	return peak - base
}

// feed writes head, then piece n times, then tail, and samples the heap.
func feed(t *testing.T, w io.Writer, head, piece string, n int, tail string, sample func()) {
	t.Helper()
	write := func(b []byte) {
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte(head))
	body := []byte(piece)
	for i := range n {
		write(body)
		if i%512 == 0 {
			sample()
		}
	}
	write([]byte(tail))
}

// E4, E5: whatever is long stays outside memory, and what cannot be judged as a
// whole is held.
func TestLimits(t *testing.T) {
	kib := strings.Repeat("x", 1<<10)
	for _, c := range []struct {
		name              string
		head, piece, tail string
		n                 int // pieces
		want, not         string
	}{
		{"data attribute of 10 MiB", `<div data-props="`, kib, `" style="background:url(` + blockedImage + `)">x</div>`, 10 << 10, cssPrefix, ""},
		{"picture of 10 MiB in a data URL", `<img src="data:image/png;base64,`, kib, `" srcset="` + blockedImage + ` 2x">`, 10 << 10, "data-cg-srcset", "data-cg-src="},
		{"source of 10 MiB", `<img src="` + blockedImage, kib, `">`, 10 << 10, "data-cg-src=", ""},
		{"own source of 10 MiB", `<img src="/`, kib, `">`, 10 << 10, "data-cg-src=", ""},
		{"script source of 10 MiB", `<script async src="` + blockedScript + "?", kib, `"></script><p>after</p>`, 10 << 10, `<script type=text/plain data-cg-vendor=unclassified data-cg-category=none data-cg-held></script><p>after</p>`, "xxx"},
		{"end tag of 10 MiB", `<p></p `, kib, `><script src="` + blockedScript + `"></script>`, 10 << 10, `data-cg-src="` + blockedScript, ""},
		{"inline script of 50 MiB", `<script>` + blockedLoader, kib, `</script>`, 50 << 10, "<script type=text/plain data-cg-vendor=meta-pixel", ""},
		{"comment of 10 MiB", `<!--`, kib, `--><script src="` + blockedScript + `"></script>`, 10 << 10, "data-cg-src", ""},
		{"style of 10 MiB", `<style>`, "a{b:c}" + kib, `@import "` + blockedScript + `";</style>`, 10 << 10, cssPrefix, ""},
		{"style URL of 10 MiB", `<style>a{b:url(data:font/woff2;base64,`, kib, `)}c{d:url(` + blockedImage + `)}</style>`, 10 << 10, cssPrefix + blockedImage, ""},
		{"100,000 attributes", `<img `, `a `, `src="` + blockedImage + `">`, 100_000, "data-cg-src", ""},
		{"100,000 candidates", `<img srcset="`, `/a.png 1x, `, blockedImage + ` 2x">`, 100_000, "data-cg-srcset", ""},
		{"srcdoc of 10 MiB", `<iframe srcdoc="<script src='` + blockedScript + `'>`, kib, `">`, 10 << 10, "data-cg-srcdoc", ""},
		{"picture of 10 MiB in noscript", `<noscript><img src="data:image/png;base64,`, kib, `"></noscript><script src="` + blockedScript + `"></script>`, 10 << 10, `data-cg-src="` + blockedScript, "data-cg-src=\"data:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out sink
			rw := New(Options{})
			rw.Reset(&out, testPage(denied()))
			grown := heapGrowth(func(sample func()) {
				feed(t, rw, c.head, c.piece, c.n, c.tail, sample)
				if err := rw.Close(); err != nil {
					t.Fatal(err)
				}
				sample()
			})
			if grown > 8<<20 {
				t.Errorf("the heap grew by %d KiB", grown>>10)
			}
			got := out.ends()
			if !strings.Contains(got, c.want) {
				t.Errorf("no %q in %.300q", c.want, got)
			}
			if c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("%q in %.300q", c.not, got)
			}
			r := rw.Report()
			if len(r.Counts) == 0 && r.Overlong == 0 {
				t.Errorf("nothing counted: %+v", r)
			}
			// In one piece the outcome must be the same.
			whole := c.head + strings.Repeat(c.piece, c.n) + c.tail
			var one sink
			rw.Reset(&one, testPage(denied()))
			if _, err := rw.Write([]byte(whole)); err != nil {
				t.Fatal(err)
			}
			if err := rw.Close(); err != nil {
				t.Fatal(err)
			}
			if one.n != out.n || one.ends() != got {
				t.Errorf("in one piece: %d bytes %.300q\nin many:      %d bytes %.300q", one.n, one.ends(), out.n, got)
			}
		})
	}
}

// A sink keeps the first and last bytes written to it.
type sink struct {
	head, tail []byte
	n          int
}

const sinkKeep = 4 << 10

func (s *sink) Write(b []byte) (int, error) {
	s.n += len(b)
	if n := sinkKeep - len(s.head); n > 0 {
		s.head = append(s.head, b[:min(n, len(b))]...)
	}
	s.tail = append(s.tail, b[max(0, len(b)-sinkKeep):]...)
	if n := len(s.tail) - sinkKeep; n > 0 {
		s.tail = append(s.tail[:0], s.tail[n:]...)
	}
	return len(b), nil
}

func (s *sink) ends() string { return string(s.head) + "…" + string(s.tail) }

// failing accepts n bytes and then fails.
type failing struct{ n int }

func (f *failing) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// A22: after the first failed write nothing more is done, and nothing is sent
// when the input fails.
func TestErrorsStick(t *testing.T) {
	rw := New(Options{})
	if _, err := rw.Write([]byte("x")); err != ErrClosed {
		t.Errorf("write before reset: %v", err)
	}
	rw.Reset(&failing{10}, testPage(denied()))
	doc := bytes.Repeat([]byte(`<p>text</p>`), 100)
	if _, err := rw.Write(doc); err != io.ErrClosedPipe {
		t.Errorf("first write: %v", err)
	}
	if _, err := rw.Write(doc); err != io.ErrClosedPipe {
		t.Errorf("second write: %v", err)
	}
	if err := rw.Close(); err != io.ErrClosedPipe {
		t.Errorf("close: %v", err)
	}

	var out bytes.Buffer
	rw.Reset(&out, testPage(denied()))
	if _, err := rw.Write([]byte(`<p>a</p><script src="` + blockedScript)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "<p>a</p>" {
		t.Errorf("sent %q while the tag is open", got)
	}
	rw.Release() // the upstream failed: no Close, no tail
	if _, err := rw.Write([]byte(`">`)); err != ErrClosed || out.String() != "<p>a</p>" {
		t.Errorf("after release: %v, %q", err, out.String())
	}
}

// A document whose readings differ at every turn costs linear work or is
// refused; it is never sent unjudged.
func TestTangled(t *testing.T) {
	in := `<svg><title><b` + strings.Repeat(` "<img '<img`, 1<<15)
	out, _, ok := tryRewrite([]byte(in), 4096, testPage(denied()))
	if ok && !bytes.Equal(restore(out), []byte(in)) {
		t.Error("neither refused nor kept")
	}
}

// A Rewriter that waits in a pool keeps memory for the next document, but nothing
// of the last one's policy.
func TestReleaseLetsGo(t *testing.T) {
	rw := New(Options{})
	rw.Reset(discard{}, testPage(denied()))
	doc := `<base href="https://cdn.site.test/x/"><script>fbq('track','x')</script><b onclick="gtag('event','x')">x</b><script src="https://connect.facebook.net/en_US/fbevents.js"></script><iframe srcdoc="<img src='https://www.facebook.com/tr?id=1'>"></iframe>`
	if _, err := rw.Write([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	if rw.held.Vendor == nil || len(rw.stubs) == 0 || rw.child == nil {
		t.Fatal("the document does not fill the Rewriter")
	}
	rw.Release()
	for _, r := range []*Rewriter{rw, rw.child} {
		for _, vendors := range [][]*policy.Vendor{r.calls, r.stubs, r.later} {
			if slices.ContainsFunc(vendors[:cap(vendors)], func(v *policy.Vendor) bool { return v != nil }) {
				t.Error("a vendor is kept")
			}
		}
		if r.held.Vendor != nil || r.page != (Page{}) || r.base.host != "" || r.base.path != "" {
			t.Errorf("kept: %v, %v, %s%s", r.held, r.page, r.base.host, r.base.path)
		}
	}
}
