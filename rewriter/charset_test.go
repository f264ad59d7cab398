package rewriter

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func contentType(lines ...string) http.Header {
	if lines == nil {
		return http.Header{}
	}
	return http.Header{"Content-Type": lines}
}

// D1: byte order mark, header, declaration, guess.
func TestCharsetD1(t *testing.T) {
	const meta = "<meta charset=iso-8859-2>"
	header := contentType("text/html; charset=koi8-r")
	none := contentType("text/html")
	for _, c := range []struct {
		name  string
		h     http.Header
		first string
		want  string
		ok    bool
	}{
		{"utf-8 mark", header, "\xef\xbb\xbf" + meta, "utf-8", true},
		{"D3 utf-16le mark", contentType("text/html; charset=utf-8"), "\xff\xfe<\x00", "utf-16le", false},
		{"D3 utf-16be mark", header, "\xfe\xff\x00<", "utf-16be", false},
		{"D3 utf-16 header", contentType("text/html; charset=utf-16"), "<p>", "utf-16le", false},
		{"header over meta", header, meta, "koi8-r", true},
		{"unknown header", contentType("text/html; charset=nonsense"), meta, "iso-8859-2", true},
		{"D5 utf-7 header", contentType("text/html; charset=utf-7"), meta, "iso-8859-2", true},
		{"meta", none, meta, "iso-8859-2", true},
		{"xml", none, `<?xml version="1.0" encoding="windows-1250"?>`, "windows-1250", true},
		{"meta over xml", none, `<?xml version="1.0" encoding="windows-1250"?>` + meta, "iso-8859-2", true},
		{"nothing", none, "<p>hello", "windows-1252", true},
		{"nothing, latin", none, "<p>caf\xe9</p>", "windows-1252", true},
		{"nothing, utf-8", none, "<p>café</p>", "utf-8", true},
		{"nothing, utf-8 cut", none, "<p>cafés café"[:len("<p>cafés café")-1], "utf-8", true},
		{"nothing, lead byte only", none, "<p>caf\xc3", "windows-1252", true},
		{"empty", none, "", "windows-1252", true},
		{"D4 header", contentType("text/html; charset=iso-2022-jp"), "<p>", "iso-2022-jp", false},
		{"D4 alias", contentType(`text/html; charset="csISO2022JP"`), "<p>", "iso-2022-jp", false},
		{"D4 meta", none, "<meta charset=iso-2022-jp>", "iso-2022-jp", false},
		{"D4 xml", none, "<?xml encoding='iso-2022-jp'?>", "iso-2022-jp", false},
		{"D4 unlabelled escape", none, "<p>\x1b$B", "windows-1252", true},
		{"D5 replacement", contentType("text/html; charset=hz-gb-2312"), "<p>", "replacement", false},
		{"D5 meta", none, "<meta charset=iso-2022-kr>", "replacement", false},
		{"utf-16 in meta", none, "<meta charset=utf-16>", "utf-8", true},
		{"user-defined in meta", none, "<meta charset=x-user-defined>", "windows-1252", true},
		{"user-defined in header", contentType("text/html; charset=x-user-defined"), "", "x-user-defined", true},
		{"utf-16 declaration", none, "<\x00?\x00x\x00m\x00", "utf-16le", false},
		{"utf-16be declaration", none, "\x00<\x00?\x00x\x00m", "utf-16be", false},
	} {
		if got, ok := Charset(c.h, []byte(c.first), true); got != c.want || ok != c.ok {
			t.Errorf("%s: %s, %v; want %s, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// D1: the beginning of a page, with more to come.
func TestCharsetMoreD1(t *testing.T) {
	const head = "<!doctype html><html><head>"
	script := "<script>" + strings.Repeat("var a = '<div>';\n", 100) + "</script>"
	none := contentType("text/html")
	for _, c := range []struct {
		name  string
		h     http.Header
		first string
		want  string
		more  bool
	}{
		{"empty", none, "", "utf-8", true},
		{"start of a head", none, head, "utf-8", true},
		{"declared", none, head + "<meta charset=koi8-r>", "koi8-r", false},
		{"header", contentType("text/html; charset=koi8-r"), "", "koi8-r", false},
		{"mark", none, "\xef\xbb\xbf", "utf-8", false},
		{"behind a script", none, head + script, "utf-8", true},
		{"in a script", none, head + script[:1500], "utf-8", true},
		{"declared behind a script", none, head + script + "<meta charset=koi8-r>", "koi8-r", false},
		{"declaration cut", none, head + script + "<meta charset=koi8-r", "utf-8", true},
		{"name cut", none, head + script + "é<bo", "utf-8", true},
		{"utf-8 in the head", none, head + "<title>é</title>" + script, "utf-8", true},
		{"latin in the head", none, head + "<title>\xe9</title>" + script, "windows-1252", true},
		{"utf-8 behind the head", none, head + script + "<body>é", "utf-8", false},
		{"latin behind the head", none, head + script + "<body>\xe9!", "windows-1252", false},
		{"character cut", none, head + script + "<body>\xc3", "utf-8", true},
		{"ASCII behind the head", none, head + script + "<body>", "utf-8", true},
		{"body, little", none, "<body>é", "utf-8", true},
		{"body, meta cut", none, "<body>é" + strings.Repeat("x", 1000) + "<meta charset=" + strings.Repeat(" ", 50), "utf-8", true},
	} {
		if got, ok := Charset(c.h, []byte(c.first), false); got != c.want || !ok {
			t.Errorf("%s: %s, %v; want %s", c.name, got, ok, c.want)
		}
		if got := CharsetMore(c.h, []byte(c.first)); got != c.more {
			t.Errorf("%s: more is %v", c.name, got)
		}
	}
}

// What CharsetMore calls final is final. That takes the bytes all browsers look
// at: an XML declaration yields to a meta among them.
func FuzzCharsetMore(f *testing.F) {
	pad := strings.Repeat("<link href=x>\n", 80)
	f.Add([]byte(pad + "<meta charset=koi8-r><p>\xe9"))
	f.Add([]byte(pad + "<title>é</title></head><meta charset=koi8-r>"))
	f.Add([]byte("<body>" + pad + "\xc3\xa9\xc3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := contentType("text/html")
		b = b[:min(len(b), 2*PrescanBytes)] // every length of it is looked at
		for i := PrescanBytes; i < len(b); i++ {
			if CharsetMore(h, b[:i]) {
				continue
			}
			label, _ := declaredCharset(h, b[:i])
			got, _ := Charset(h, b[:i], false)
			if again, _ := declaredCharset(h, b); again != label {
				t.Fatalf("%d bytes declare %q, all %d %q: %q", i, label, len(b), again, b)
			}
			if label != "" {
				if all, _ := Charset(h, b, true); all != got {
					t.Fatalf("%d bytes are %s, all %d %s: %q", i, got, len(b), all, b)
				}
			}
			break
		}
	})
}

// D2
func TestHeaderCharsetD2(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"text/html;charset=utf-8"}, "utf-8"},
		{[]string{"text/html; CHARSET=UTF8"}, "utf-8"},
		{[]string{"text/html; charset=utf-8; charset=koi8-r"}, "utf-8"},
		{[]string{`text/html; charset="utf-8"`}, "utf-8"},
		{[]string{`text/html; charset="ut\f-8"; x=y`}, "utf-8"},
		{[]string{`text/html; charset="utf-8" junk`}, "utf-8"},
		{[]string{`text/html; charset="utf-8`}, "utf-8"},
		{[]string{`text/html; charset='utf-8'`}, ""},
		{[]string{"text/html; foo; charset=utf-8"}, "utf-8"},
		{[]string{`text/html; x="charset=koi8-r; a"; charset=utf-8`}, "utf-8"},
		{[]string{"text/html; charset=; charset=utf-8"}, "utf-8"},
		{[]string{"text/html; charset=nonsense; charset=utf-8"}, ""},
		{[]string{"text/html; charset=koi8-r", "text/html; charset=utf-8"}, "utf-8"},
		{[]string{"text/html; charset=utf-8", "text/html"}, "utf-8"}, // the same type keeps it
		{[]string{"text/plain; charset=koi8-r, text/html"}, ""},
		{[]string{"text/plain; charset=koi8-r", "text/html; charset=utf-8"}, "utf-8"},
		{[]string{"text/html; charset=utf-8, */*; charset=koi8-r"}, "utf-8"},
		{[]string{"html; charset=utf-8"}, ""},
		{[]string{"text/html; charset=\u212Aoi8-r"}, ""}, // KELVIN SIGN is no K
		{[]string{"text/html; charset=utf-8\v"}, ""},
		{[]string{"text/html; charset=latin1"}, "windows-1252"},
		{[]string{"text/html; charset=ascii"}, "windows-1252"},
		{[]string{"text/html; charset=gb2312"}, "gbk"},
		{[]string{"text/html; charset=unicode"}, "utf-16le"},
	} {
		if got := headerCharset(contentType(c.lines...)); got != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestPrescan(t *testing.T) {
	pad := func(n int) string { return strings.Repeat("<link href=x>\n", n/14+1)[:n/14*14] }
	for _, c := range []struct{ name, in, want string }{
		{"quoted", `<META CharSet = "UTF-8" >`, "utf-8"},
		{"single quotes", `<meta charset='utf-8'>`, "utf-8"},
		{"slashes", `<meta/charset=utf-8/>`, ""}, // the value is "utf-8/"
		{"slash before", `<meta/charset="utf-8"/>`, "utf-8"},
		{"blanks in label", `<meta charset=" utf-8 ">`, "utf-8"},
		{"pragma", `<meta http-equiv=Content-Type content="text/html; charset=koi8-r">`, "koi8-r"},
		{"pragma reversed", `<meta content='text/html; charset="koi8-r"' http-equiv=content-type>`, "koi8-r"},
		{"content without pragma", `<meta content="text/html; charset=koi8-r">`, ""},
		{"another pragma", `<meta http-equiv=refresh content="5; charset=koi8-r">`, ""},
		{"charset and content", `<meta charset=utf-8 content="text/html; charset=koi8-r">`, "utf-8"},
		{"second attribute ignored", `<meta charset=utf-8 charset=koi8-r>`, "utf-8"},
		{"unknown goes on", `<meta charset=foo><meta charset=koi8-r>`, "koi8-r"},
		{"unclosed quote in content", `<meta http-equiv=content-type content='x; charset="koi8-r'>`, ""},
		{"charset twice in content", `<meta http-equiv=content-type content="charsets charset = koi8-r;x">`, "koi8-r"},
		{"comment", `<!-- <meta charset=koi8-r> --><meta charset=utf-8>`, "utf-8"},
		{"short comment", `<!--><meta charset=koi8-r>-->`, "koi8-r"},
		{"shorter comment", `<!---><meta charset=koi8-r>-->`, "koi8-r"},
		{"open comment", `<!-- <meta charset=koi8-r>`, ""},
		{"in an attribute", `<p title="<meta charset=koi8-r>"><meta charset=utf-8>`, "utf-8"},
		{"end tag attribute", `</p title="<meta charset=koi8-r>"><meta charset=utf-8>`, "utf-8"},
		{"processing instruction", `<?php "<meta charset=koi8-r>" ?><meta charset=utf-8>`, "utf-8"},
		{"end of it", `<?php a > <meta charset=koi8-r> ?>`, "koi8-r"},
		{"doctype", `<!doctype html><meta charset=utf-8>`, "utf-8"},
		{"in a script, as the standard reads it", `<script>"<meta charset=koi8-r>"</script>`, "koi8-r"},
		{"metadata is no meta", `<metadata charset=koi8-r>`, ""},
		{"cut", `<meta charset=utf-8`, ""},
		{"cut value", `<meta charset="utf-8`, ""},
		{"xml without meta", `<?xml version='1.0' encoding = "koi8-r"?><p>`, "koi8-r"},
		{"xml not first", ` <?xml encoding="koi8-r"?>`, ""},
		{"xml blank in label", `<?xml encoding="koi8-r "?>`, ""},
		{"xml open", `<?xml encoding="koi8-r"`, ""},
		{"xml utf-16", `<?xml encoding="utf-16"?>`, "utf-8"},
		{"late in the head", "<head>" + pad(2000) + "<meta charset=koi8-r>", "koi8-r"},
		{"late behind a script", "<head>" + pad(900) + "<script>" + strings.Repeat("'<div>'+", 100) + "</script>" + pad(900) + "<meta charset=koi8-r>", "koi8-r"},
		{"late in a script", "<head>" + pad(2000) + "<script>'<meta charset=koi8-r>'</script>", ""},
		{"late in the body", "<head></head><body>" + pad(2000) + "<p><meta charset=koi8-r>", ""},
		{"late behind the head", "<head>" + pad(2000) + "</head><meta charset=koi8-r>", ""},
		{"late behind an early head", "<head></head>" + pad(2000) + "<meta charset=koi8-r>", ""},
		{"across the border, behind the head", "<body>" + pad(1006) + "<meta charset=koi8-r>", "koi8-r"},
		{"tag cut", `<meta charset=utf-8 `, ""},
		{"early in the body", "<body><p><meta charset=koi8-r>", "koi8-r"},
	} {
		if got, _ := prescanCharset([]byte(c.in)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// D6: of the standard's encodings all but four keep markup in ASCII.
func TestCharsetD6(t *testing.T) {
	encodings := append(slices.Clone(asciiEncodings), "iso-2022-jp", "replacement", "utf-16be", "utf-16le")
	if len(encodings) != 40 {
		t.Fatal(len(encodings))
	}
	for i, e := range encodings {
		h := contentType("text/html; charset=" + strings.ToUpper(e))
		got, ok := Charset(h, nil, true)
		if got != e || ok != (i < 36) {
			t.Errorf("%s: %s, %v", e, got, ok)
		}
	}
}

func TestPinCharset(t *testing.T) {
	for _, c := range []struct {
		in    []string
		label string
		want  string
	}{
		{[]string{"text/html"}, "utf-8", "text/html; charset=utf-8"},
		{nil, "windows-1252", "text/html; charset=windows-1252"},
		{[]string{"*/*"}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/html; charset=UTF-8"}, "utf-8", "text/html; charset=UTF-8"},
		{[]string{`text/html;x=y;charset="utf8"`}, "utf-8", `text/html;x=y;charset="utf8"`},
		{[]string{"text/html; charset=utf-8"}, "koi8-r", "text/html; charset=koi8-r"},
		{[]string{"text/html; charset=utf-8; profile=\"a;b\""}, "koi8-r", "text/html; charset=koi8-r; profile=\"a;b\""},
		{[]string{"text/html; charset=utf-8; charset=iso-2022-jp"}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/html; junk; charset='utf-8'"}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/html; charset = utf-8"}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/html; charset=\"ut\\f-8\""}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/html; x=\"; charset=utf-8"}, "utf-8", "text/html; charset=utf-8; x=\"; charset=utf-8"},
		{[]string{"text/html (x); charset=utf-8"}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/plain,Text/HTML; a=b"}, "utf-8", "text/html; charset=utf-8; a=b"},
		{[]string{"text/html; charset=utf-8", "text/html; charset=utf-8"}, "utf-8", "text/html; charset=utf-8"},
		{[]string{"text/html; charset=utf-8", "text/plain"}, "utf-8", "text/plain; charset=utf-8"},
	} {
		h := contentType(c.in...)
		PinCharset(h, c.label)
		if !reflect.DeepEqual(h, contentType(c.want)) {
			t.Errorf("%q: %q, want %q", c.in, h, c.want)
		}
	}
}

// What was pinned is what is read, whatever stands in the page.
func FuzzPinCharset(f *testing.F) {
	f.Add(`text/html; charset="utf-8`, "text/plain", "<meta charset=iso-2022-jp>")
	f.Add(`text/html;charset=iso-8859-1;charset=x, a/b`, "", "<?xml encoding='big5'?>")
	f.Fuzz(func(t *testing.T, one, two, page string) {
		h := contentType(one, two)
		label, ok := Charset(h, []byte(page), len(page)%2 == 0)
		if !ok {
			return
		}
		PinCharset(h, label)
		// What a byte order mark said stands in the header now.
		if got := headerCharset(h); got != label {
			t.Fatalf("%q pinned as %q reads %q", label, h, got)
		}
		first := h.Clone()
		PinCharset(h, label)
		if !reflect.DeepEqual(h, first) {
			t.Fatalf("pinned twice: %q, %q", first, h)
		}
	})
}
