package rewriter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// asciiEncodings are the encodings of the Encoding Standard in which markup is
// written in ASCII.
var asciiEncodings = strings.Fields(`utf-8 ibm866 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7
	iso-8859-8 iso-8859-8-i iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 koi8-r koi8-u macintosh
	windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256
	windows-1257 windows-1258 x-mac-cyrillic gbk gb18030 big5 euc-jp shift_jis euc-kr x-user-defined`)

// otherEncodings are the rest: they are turned into UTF-8 first.
var otherEncodings = strings.Fields(`iso-2022-jp utf-16be utf-16le`)

// charsetPage returns a page in which every character e can write stands in text,
// in all sorts of attributes, in a comment, in a script and in CSS, between
// elements that are held, and how many characters these are. The page is written
// in UTF-8.
func charsetPage(t *testing.T, e encoding.Encoding) (page []byte, n int) {
	t.Helper()
	var doc strings.Builder
	doc.WriteString("<!DOCTYPE html><html><head><title>t</title></head><body>\n")
	put := func(group []rune) {
		text := string(group)
		fmt.Fprintf(&doc, `<p title="%[1]s" data-a='%[1]s' data-b=%[1]s>%[1]s</p><img alt="%[1]s" src="https://www.facebook.com/tr?id=%[2]d"><!-- %[1]s -->`+
			`<script>var x = "%[1]s"; // %[1]s
</script><script src='https://www.googletagmanager.com/gtag/js?id=%[2]d' data-x='%[1]s' async></script>`+
			`<style>a::before{content:"%[1]s";background:url("https://www.facebook.com/tr?%[2]d")}</style><a href="/%[1]s">%[1]s</a>`+"\n", text, n)
		n += len(group)
	}
	var group []rune
	for r := rune(0xa0); r < 0x20000; r++ {
		if 0xd800 <= r && r <= 0xdfff || r == 0xfeff || r == 0xfffd {
			continue
		}
		b, err := e.NewEncoder().Bytes([]byte(string(r)))
		if err != nil {
			continue
		}
		// Some characters are written as another one's bytes.
		if back, err := e.NewDecoder().Bytes(b); err != nil || string(back) != string(r) {
			continue
		}
		if group = append(group, r); len(group) == 64 {
			put(group)
			group = group[:0]
		}
		if n > 30000 {
			break // UTF-8 and the like have all of them
		}
	}
	put(group)
	doc.WriteString("</body></html>")
	return []byte(doc.String()), n
}

// D6: a page is rewritten in its own encoding as it would be in UTF-8: no byte of
// a character is taken for markup, and no markup for part of a character.
func TestCharsetD6Pages(t *testing.T) {
	total := 0
	for _, label := range asciiEncodings {
		e, err := htmlindex.Get(label)
		if err != nil {
			t.Fatal(err)
		}
		doc, n := charsetPage(t, e)
		total += n
		if n < 16 && label != "x-user-defined" {
			t.Errorf("%s: %d characters", label, n)
		}
		encoded, err := e.NewEncoder().Bytes(doc)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		page := testPage(denied())
		page.Charset = "utf-8"
		want, report := rewrite(t, doc, 0, page)
		if bytes.Contains(want, []byte(` src="https://www.facebook.com`)) || len(report.Counts) == 0 {
			t.Fatalf("%s: the oracle holds nothing", label)
		}
		page.Charset = label
		for _, size := range []int{0, 1, 7, 4096} {
			out, _ := rewrite(t, encoded, size, page)
			got, err := e.NewDecoder().Bytes(out)
			if err != nil {
				t.Fatalf("%s: %v", label, err)
			}
			if !bytes.Equal(got, want) {
				i := 0
				for i < min(len(got), len(want)) && got[i] == want[i] {
					i++
				}
				t.Errorf("%s in pieces of %d: from byte %d on\n%q\nwant\n%q", label, size, i, got[max(0, i-80):min(len(got), i+80)], want[max(0, i-80):min(len(want), i+80)])
			}
		}
	}
	t.Logf("%d encodings, %d characters", len(asciiEncodings), total)
}

// D3, D4: pages in the other encodings become what they would be in UTF-8,
// however they are cut.
func TestTranscoder(t *testing.T) {
	for _, label := range otherEncodings {
		e, err := htmlindex.Get(label)
		if err != nil {
			t.Fatal(err)
		}
		doc, n := charsetPage(t, e)
		if n < 1000 {
			t.Errorf("%s: %d characters", label, n)
		}
		encoded, err := e.NewEncoder().Bytes(doc)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		want, _ := rewrite(t, doc, 0, testPage(denied()))
		for _, size := range []int{1, 2, 3, 1000, len(encoded)} {
			var out bytes.Buffer
			rw := New(Options{})
			rw.Reset(&out, testPage(denied()))
			tr := NewTranscoder(label, rw)
			for rest := encoded; len(rest) > 0; {
				k := min(size, len(rest))
				if _, err := tr.Write(rest[:k]); err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			if err := rw.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%s in pieces of %d: another page", label, size)
			}
		}
	}
	if NewTranscoder("x-nothing", nil) != nil {
		t.Error("an unknown encoding is read")
	}
}

// D3 to D5: what an attacker hides from an ASCII reader is held once it is read.
func TestTranscoderHostile(t *testing.T) {
	const script = `<script src="https://www.googletagmanager.com/gtag/js"></script>`
	utf16 := func(order encoding.Encoding, s string) []byte {
		b, err := order.NewEncoder().Bytes([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	le, _ := htmlindex.Get("utf-16le")
	be, _ := htmlindex.Get("utf-16be")
	for name, c := range map[string]struct {
		label string
		in    []byte
		want  string // part of the text
	}{
		"utf-16le":             {"utf-16le", utf16(le, "<p>ä</p>"+script), "<p>ä</p>"},
		"utf-16be":             {"utf-16be", utf16(be, "<p>ä</p>"+script), "<p>ä</p>"},
		"half a character":     {"utf-16le", append(utf16(le, script), '<'), "\ufffd"},
		"lone surrogate":       {"utf-16be", append([]byte{0xd8, 0x00}, utf16(be, script)...), "\ufffd"},
		"escape hides a quote": {"iso-2022-jp", []byte("<p title=\"\x1b$B!!\x1b(B\">" + script), "<p title=\"\u3000\">"},
		"escape left open":     {"iso-2022-jp", []byte(script + "\x1b$B!!"), "\u3000"},
		"escape in a tag":      {"iso-2022-jp", []byte("<scr\x1b(Bipt src=\"https://www.googletagmanager.com/gtag/js\"></script>"), `data-cg-src`},
		"roman backslash":      {"iso-2022-jp", []byte("\x1b(J\\\x1b(B" + script), `data-cg-src`},
		"replacement":          {"replacement", []byte(script), "\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			rw := New(Options{})
			rw.Reset(&out, testPage(denied()))
			tr := NewTranscoder(c.label, rw)
			if _, err := tr.Write(c.in); err != nil {
				t.Fatal(err)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			if err := rw.Close(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), ` src="https://www.google`) {
				t.Errorf("%q", out.String())
			}
			if c.label != "replacement" && !strings.Contains(out.String(), "data-cg-src") {
				t.Errorf("nothing held: %q", out.String())
			}
		})
	}
}
