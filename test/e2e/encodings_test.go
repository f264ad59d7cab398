package e2e

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/consentgate/consentgate/rewriter"
)

// A coded is a body and what it says about itself.
type coded struct {
	name, coding string
	body         []byte
	// differs says why the browser takes it otherwise than the Decoder does; ""
	// if it must not.
	differs string
}

const (
	cutOff    = "the browser shows what there is of a body that ends too early"
	unsummed  = "the browser does not look at the checksums of gzip"
	oneMember = "the browser shows the first member only"
	rawTail   = "the browser does not know where a raw stream ends"
	rawBytes  = "the browser shows the bytes of what it cannot decode"
)

// codingPage is a page of some blocks.
func codingPage() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 90<<10; i++ {
		fmt.Fprintf(&b, "<p class=c%d>word %x</p>\n", i%50, i*i*7919)
	}
	return b.Bytes()
}

var codingKinds = []struct {
	kind, coding string
	open         func(io.Writer) (io.WriteCloser, error)
}{
	{"gzip", "gzip", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }},
	{"zlib", "deflate", func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil }},
	{"raw", "deflate", func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 6) }},
	{"br", "br", func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriterLevel(w, 5), nil }},
	{"zstd", "zstd", func(w io.Writer) (io.WriteCloser, error) {
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10), zstd.WithZeroFrames(true))
	}},
}

// codedBodies are bodies in every coding and every condition.
func codedBodies(t *testing.T, page []byte) (list []coded) {
	t.Helper()
	encode := func(kind int, text []byte) []byte {
		var b bytes.Buffer
		w, err := codingKinds[kind].open(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for i, k := range codingKinds {
		data, tail := encode(i, page), encode(i, []byte("tail"))
		n := len(data)
		add := func(name string, body []byte, differs string) {
			list = append(list, coded{k.kind + ": " + name, k.coding, body, differs})
		}
		garbage, second, after := "", "", ""
		switch k.kind {
		case "gzip":
			second, after = oneMember, cutOff
		case "raw":
			garbage, second, after = rawTail, rawTail, rawTail
		case "zstd":
			after = cutOff
		}
		add("whole", data, "")
		add("no body", nil, "")
		add("no content", encode(i, nil), "")
		add("half", data[:n/2], cutOff)
		add("without its last byte", data[:n-1], cutOff)
		add("without its last eight bytes", data[:n-8], cutOff)
		add("one byte of it", data[:1], cutOff)
		add("and garbage", join(data, []byte("garbage behind the end")), garbage)
		add("and zeros", join(data, make([]byte, 20)), garbage)
		add("twice in a row", join(data, tail), second)
		add("and half of another", join(data, tail[:4]), after)
		add("a page that is not encoded", page, "")
		add("and blanks in front", join([]byte(" \n"), data), "")
		if k.kind == "gzip" {
			wrong := bytes.Clone(data)
			wrong[n-5] ^= 1
			add("wrong checksum", wrong, unsummed)
		}
		for j, other := range codingKinds {
			if other.coding != k.coding {
				add("really "+other.kind, encode(j, page), "")
			}
			list = append(list, coded{k.kind + " in " + other.kind, k.coding + ", " + other.coding, encode(j, data), ""})
		}
	}
	plain, zipped := page, encode(0, page)
	frame := encode(4, page)
	skippable := []byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc")
	return append(list,
		coded{"x-gzip", "x-gzip", zipped, ""},
		coded{"capitals", "GZIP", zipped, ""},
		coded{"identity beside it", "gzip, identity", zipped, rawBytes},
		coded{"unknown", "foo", plain, rawBytes},
		coded{"unknown beside gzip", "gzip, foo", zipped, rawBytes},
		coded{"three of them", "gzip, gzip, gzip", encode(0, encode(0, zipped)), "the Decoder undoes two"},
		coded{"two of them, one was applied", "gzip, gzip", zipped, ""},
		coded{"zstd: skippable frame in front", "zstd", join(skippable, frame), ""},
		coded{"zstd: skippable frame behind", "zstd", join(frame, skippable), ""},
		coded{"zstd: skippable frame between", "zstd", join(frame, skippable, encode(4, []byte("tail"))), ""},
		coded{"zstd: skippable frame alone", "zstd", skippable, ""},
	)
}

// ownBodies are what the Encoder makes of the page: at once, and in pieces that are
// flushed.
func ownBodies(t *testing.T, page []byte) (list []coded) {
	t.Helper()
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for _, size := range []int{1 << 20, 64 << 10, 5000, 333} {
			var b bytes.Buffer
			e := rewriter.NewEncoder(coding, &b)
			for rest := page; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if _, err := e.Write(rest[:min(size, len(rest))]); err != nil {
					t.Fatal(err)
				}
				if err := e.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			list = append(list, coded{fmt.Sprintf("ours: %s by %d", coding, size), coding, b.Bytes(), ""})
		}
		var b bytes.Buffer
		if err := rewriter.NewEncoder(coding, &b).Close(); err != nil {
			t.Fatal(err)
		}
		list = append(list, coded{"ours: " + coding + " of nothing", coding, b.Bytes(), ""})
	}
	return list
}

// seen names what was seen of the page. How much of it is out before a fault is a
// matter of buffers.
func seen(page []byte, got string, fault bool) string {
	switch {
	case fault:
		return "a fault"
	case got == string(page):
		return "the page"
	case got == string(page)+"tail":
		return "the page and more"
	case got == "":
		return "nothing"
	case strings.HasPrefix(string(page), got):
		return "a part"
	}
	return "something else"
}

// decoded is what the Decoder sees.
func decoded(page []byte, c coded) string {
	var out bytes.Buffer
	d, err := rewriter.NewDecoder(rewriter.Codings(http.Header{"Content-Encoding": {c.coding}}), &out, rewriter.Limits{})
	if err != nil {
		return seen(page, "", true)
	}
	defer d.Abort()
	if _, err = d.Write(c.body); err == nil {
		err = d.Close()
	}
	return seen(page, out.String(), err != nil)
}

const codingScript = `<script>
window.got = null;
(async () => {
  const got = [];
  for (let i = 0; i < %d; i++) {
    const result = {text: '', fault: false};
    got.push(result);
    try {
      const reader = (await fetch('/coded/' + i)).body.getReader(), text = new TextDecoder();
      for (let piece; piece = await reader.read(), !piece.done;) result.text += text.decode(piece.value, {stream: true});
    } catch { result.fault = true }
  }
  window.got = JSON.stringify(got);
})();
</script>`

// A18: the Decoder takes a body as the browser does, or the table says how they
// differ; and the browser takes what the Encoder makes.
func TestEncodingsA18(t *testing.T) {
	findChromium(t)
	page := codingPage()
	bodies := append(codedBodies(t, page), ownBodies(t, page)...)
	site := startUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		var i int
		if n, _ := fmt.Sscanf(r.URL.Path, "/coded/%d", &i); n == 0 || i >= len(bodies) {
			fmt.Fprintf(w, codingScript, len(bodies))
			return
		}
		w.Header().Set("Content-Encoding", bodies[i].coding)
		w.Write(bodies[i].body)
	}))
	// On this host the browser decodes br and zstd without TLS, too.
	b := startBrowser(t, startSink(t), map[string]string{"localhost": site.addr})
	v := b.visitor(t)
	v.Scroll = false
	v.visit("http://localhost/")
	var got []struct {
		Text  string
		Fault bool
	}
	if err := json.Unmarshal([]byte(v.text("window.got")), &got); err != nil || len(got) != len(bodies) {
		t.Fatalf("%d of %d bodies were seen: %v", len(got), len(bodies), err)
	}
	differ := 0
	for i, c := range bodies {
		theirs, ours := seen(page, got[i].Text, got[i].Fault), decoded(page, c)
		switch {
		case theirs == ours && c.differs != "":
			t.Errorf("%s: both see %s, but it is said that %s", c.name, ours, c.differs)
		case theirs != ours && c.differs == "":
			t.Errorf("%s: the browser sees %s, the Decoder %s", c.name, theirs, ours)
		case c.differs != "":
			differ++
			t.Logf("%s: the browser sees %s, the Decoder %s: %s", c.name, theirs, ours, c.differs)
		}
		if strings.HasPrefix(c.name, "ours") && theirs != "the page" && theirs != "nothing" {
			t.Errorf("%s: the browser sees %s", c.name, theirs)
		}
	}
	t.Logf("%d bodies, %d taken differently", len(bodies), differ)
}
