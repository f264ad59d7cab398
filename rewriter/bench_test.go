package rewriter

// The stages of the work, from the floor to whole peers, on the same pages. One
// command runs them in rounds and prints one table:
//
//	go run ./test/bench

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// A benchPage is a page and its name.
type benchPage struct {
	name string
	doc  []byte
}

// corpus returns the saved pages of real sites, or the pages of the example site
// where there are none.
func corpus(b *testing.B) []benchPage {
	b.Helper()
	for _, dir := range []string{"../../shared/data/pages", "../test/site"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.html"))
		if err != nil {
			b.Fatal(err)
		}
		var pages []benchPage
		for _, file := range files {
			doc, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			pages = append(pages, benchPage{filepath.Base(file), doc})
		}
		if len(pages) > 0 {
			return pages
		}
	}
	b.Fatal("no pages")
	return nil
}

// stage runs f on each page and reports bytes and pages of one round, and its CPU
// time, which neighbours on the machine disturb less than the clock. What f returns
// is the most bytes it held.
func stage(b *testing.B, pages []benchPage, f func(doc []byte) int) {
	var n int64
	for _, p := range pages {
		n += int64(len(p.doc))
	}
	held := 0
	b.SetBytes(n)
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		for _, p := range pages {
			held = max(held, f(p.doc))
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(n), "bytes/op")
	b.ReportMetric(float64(len(pages)), "pages/op")
	b.ReportMetric(float64(held), "held-B")
}

// cpuTime returns the CPU time this process took so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// pipe sends doc through rw in pieces and returns the most bytes held.
func pipe(b *testing.B, rw *Rewriter, doc []byte, size int, p Page) (held int) {
	rw.Reset(discard{}, p)
	for len(doc) > 0 {
		k := min(size, len(doc))
		if _, err := rw.Write(doc[:k]); err != nil {
			b.Fatal(err)
		}
		held = max(held, rw.Held())
		doc = doc[k:]
	}
	if err := rw.Close(); err != nil {
		b.Fatal(err)
	}
	return held
}

func BenchmarkStage(b *testing.B) {
	pages := corpus(b)
	// One who granted nearly everything finds nothing held on many pages, while
	// everything is still judged.
	nearly := almostGranted()
	var quiet []benchPage
	rw := New(Options{})
	for _, p := range pages {
		if pipe(b, rw, p.doc, whole, testPage(nearly)); nothingHeld(rw.Report()) {
			quiet = append(quiet, p)
		}
	}
	b.Run("memcpy", func(b *testing.B) {
		buf := make([]byte, 4<<20)
		stage(b, pages, func(doc []byte) int { copy(buf, doc); return 0 })
	})
	b.Run("hop", func(b *testing.B) { stage(b, pages, hop) })
	b.Run("scan", func(b *testing.B) { stage(b, pages, scanAll) })
	b.Run("judge", benchmarkJudge)
	rewriting := func(name string, pages []benchPage, bound policy.Bound, size int) {
		if len(pages) == 0 {
			return
		}
		b.Run("rewrite-"+name, func(b *testing.B) {
			stage(b, pages, func(doc []byte) int { return pipe(b, rw, doc, size, testPage(bound)) })
		})
	}
	rewriting("whole", pages, denied(), whole)
	rewriting("4KiB", pages, denied(), 4<<10)
	rewriting("1KiB", pages, denied(), 1<<10)
	rewriting("nothing-to-hold", quiet, nearly, 4<<10)
	rewriting("granted", pages, granted(), 4<<10)
	b.Run("tokenizer", benchmarkTokenizer)
	b.Run("parse-render", func(b *testing.B) {
		stage(b, pages, func(doc []byte) int {
			root, err := html.Parse(bytes.NewReader(doc))
			if err != nil {
				b.Fatal(err)
			}
			if err := html.Render(io.Discard, root); err != nil {
				b.Fatal(err)
			}
			return len(doc)
		})
	})
	b.Run("headers", benchmarkHeaders)
	for _, coding := range []string{"gzip", "br", "zstd"} {
		b.Run("decode-"+coding, func(b *testing.B) { benchmarkDecode(b, pages, coding) })
	}
}

// almostGranted is a visitor who refused one category and granted all others.
func almostGranted() policy.Bound {
	p := policy.Default()
	sc := p.Scheme()
	refused := consent.Set(0).With(sc.Index("functional"))
	s := consent.State{Decided: true, Chosen: sc.Optional(), Granted: sc.Optional().Without(refused)}
	return p.Bind(s, testHost)
}

// hop is the floor: from '<' to '<' and nothing else.
func hop(doc []byte) int {
	for i := 0; i < len(doc); i++ {
		j := bytes.IndexByte(doc[i:], '<')
		if j < 0 {
			break
		}
		i += j
	}
	return 0
}

// scanAll finds the edges of all tags.
func scanAll(doc []byte) int {
	var s scan.Scanner
	for s.Next(doc, true) != scan.Done {
	}
	return 0
}

// A question is one thing on a page that the policy is asked about.
type question struct {
	kind  policy.Kind
	value []byte // a decoded URL, or code if kind is Inline
}

// peer reads a page as golang.org/x/net/html's tokenizer does and asks about all
// that loads or runs: sources, candidates, style sheets, event handlers, inline
// scripts. It writes no output.
func peer(rw *Rewriter, doc []byte, ask func(question)) {
	z := html.NewTokenizer(bytes.NewReader(doc))
	elem, code := scan.Other, false
	sheet := func(text []byte) {
		css := rw.newCSS()
		_, rw.hits = css.scan(text, 0, true, len(text), rw.hits[:0])
		for _, h := range rw.hits {
			ask(question{policy.Style, text[h.start:h.end]})
		}
	}
	for tt := z.Next(); tt != html.ErrorToken; tt = z.Next() {
		switch tt {
		case html.TextToken:
			switch text := z.Text(); {
			case elem == scan.Script && code:
				ask(question{policy.Inline, text[:min(len(text), DefaultMaxInline)]})
			case elem == scan.Style:
				sheet(text)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			elem, code = scan.ElemOf(name), true
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				if elem == scan.Script {
					switch string(k) {
					case "src":
						ask(question{policy.Script, v})
						code = false
					case "type":
						code = code && classifyType(v) == isCode
					}
				}
				switch r, kind := attrRole(elem, k); r {
				case roleURL, roleURLs, roleValues:
					ask(question{kind, v})
				case roleSrcset:
					for u, rest := nextCandidate(v); len(u) > 0; u, rest = nextCandidate(rest) {
						ask(question{kind, u})
					}
				case roleStyle:
					sheet(v)
				case roleEvent:
					ask(question{policy.Inline, v})
				}
			}
		default:
			elem = scan.Other
		}
	}
}

func (rw *Rewriter) answer(q question) {
	if q.kind == policy.Inline {
		_, rw.calls = rw.page.Bound.Inline(q.value, rw.calls[:0])
		return
	}
	rw.judgeURL(q.value, q.kind)
}

// benchmarkTokenizer does the work of the rewriter on the peer's tokens.
func benchmarkTokenizer(b *testing.B) {
	rw := New(Options{})
	rw.Reset(discard{}, testPage(denied()))
	stage(b, corpus(b), func(doc []byte) int { peer(rw, doc, rw.answer); return 0 })
}

// benchmarkJudge asks the policy about all that stands on the pages, found
// beforehand.
func benchmarkJudge(b *testing.B) {
	pages := corpus(b)
	rw := New(Options{})
	rw.Reset(discard{}, testPage(denied()))
	questions := map[*byte][]question{}
	for _, p := range pages {
		peer(rw, p.doc, func(q question) {
			q.value = bytes.Clone(q.value)
			questions[&p.doc[0]] = append(questions[&p.doc[0]], q)
		})
	}
	stage(b, pages, func(doc []byte) int {
		for _, q := range questions[&doc[0]] {
			rw.answer(q)
		}
		return 0
	})
}

// benchmarkHeaders filters the header fields of a request and of its answer.
func benchmarkHeaders(b *testing.B) {
	bound := denied()
	own := []string{"__Host-cg", "cg"}
	countCookie := func(string, policy.Action) {}
	count := func(policy.Decision, policy.Kind) {}
	base := Base{"https", testHost, "/"}
	b.ReportAllocs()
	before := cpuTime(b)
	defer func() { b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }()
	for b.Loop() {
		request := http.Header{
			"Cookie":          {"session=1; _ga=GA1.2.3; _fbp=fb.1.2; theme=dark; cart=a%20b"},
			"Accept-Encoding": {"gzip, deflate, br, zstd"}, "If-None-Match": {`"a"`},
		}
		filterCookie(request, bound, own, 3000, countCookie)
		OriginETags(request, "v1", true)
		NarrowAcceptEncoding(request)
		h := http.Header{
			"Content-Type":  {"text/html; charset=utf-8"},
			"Set-Cookie":    {"session=1; Path=/; HttpOnly", "_ga=GA1.2.3; Max-Age=63072000", "_fbp=x; Path=/"},
			"Link":          {"</a.css>; rel=preload; as=style, <https://www.googletagmanager.com>; rel=preconnect"},
			"Cache-Control": {"public, max-age=600, s-maxage=60"}, "Etag": {`"a"`}, "Vary": {"Accept-Encoding"},
			"Report-To": {`{"group":"a","max_age":1,"endpoints":[{"url":"https://r.site.test/"}]}`},
		}
		if Classify(h) != HTML {
			b.Fatal("no page")
		}
		FilterSetCookie(h, bound, own, countCookie)
		FilterHints(h, bound, base, count)
		VariantETag(h, "v1", false)
		PrivateCache(h)
		AddVary(h, "Cookie")
		DropDigests(h)
	}
}

// benchmarkDecode undoes a content coding.
func benchmarkDecode(b *testing.B, pages []benchPage, coding string) {
	coded := map[*byte][]byte{}
	for _, p := range pages {
		var out bytes.Buffer
		var w io.WriteCloser
		switch coding {
		case "gzip":
			w = gzip.NewWriter(&out)
		case "br":
			w = brotli.NewWriter(&out)
		case "zstd":
			w, _ = zstd.NewWriter(&out)
		}
		if _, err := w.Write(p.doc); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		coded[&p.doc[0]] = out.Bytes()
	}
	stage(b, pages, func(doc []byte) int {
		d, err := NewDecoder([]string{coding}, discard{}, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		for _, piece := range cut(coded[&doc[0]], 4<<10) {
			if _, err := d.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		return 0
	})
}

// BenchmarkPage rewrites each page on its own and says what it is made of.
func BenchmarkPage(b *testing.B) {
	pages := corpus(b)
	slices.SortFunc(pages, func(x, y benchPage) int { return cmp.Compare(x.name, y.name) })
	rw := New(Options{})
	for _, p := range pages { // the policy is compiled, the memory there
		pipe(b, rw, p.doc, 4<<10, testPage(denied()))
	}
	for _, p := range pages {
		b.Run(p.name, func(b *testing.B) {
			stage(b, []benchPage{p}, func(doc []byte) int { return pipe(b, rw, doc, 4<<10, testPage(denied())) })
			code, asked := 0, 0
			peer(rw, p.doc, func(q question) {
				asked++
				if q.kind == policy.Inline {
					code += len(q.value)
				}
			})
			kib := float64(len(p.doc)) / (1 << 10)
			b.ReportMetric(kib, "KiB")
			b.ReportMetric(100*float64(code)/float64(len(p.doc)), "code")
			b.ReportMetric(float64(asked)/kib, "asked/KiB")
			b.ReportMetric(float64(bytes.Count(p.doc, []byte("<")))/kib, "tags/KiB")
			b.ReportMetric(float64(rw.looked())/float64(len(p.doc)), "looks/B")
			readings := 1.0
			if rw.Report().Diverged {
				readings = 2 // or more
			}
			b.ReportMetric(readings, "readings")
		})
	}
}
