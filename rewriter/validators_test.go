package rewriter

import (
	"net/http"
	"reflect"
	"testing"
)

func TestVariantETagB1(t *testing.T) {
	dated := []string{`W/"s6k2o0~clv1"`}
	for _, c := range []struct{ in, want []string }{
		{[]string{`"abc"`}, []string{`"abc~cgv1"`}},
		{[]string{`W/"abc"`}, []string{`W/"abc~cgv1"`}},
		{[]string{`""`}, []string{`"~cgv1"`}},
		{[]string{`"a,b;c"`}, []string{`"a,b;c~cgv1"`}},
		{[]string{"\"\xfcml\""}, []string{"\"\xfcml~cgv1\""}},
		{[]string{`"abc~cgv0"`}, []string{`"abc~cgv0~cgv1"`}},
		// No tag at all: the date stands in.
		{[]string{`abc`}, dated},
		{[]string{`w/"abc"`}, dated},
		{[]string{`"abc`}, dated},
		{[]string{`"`}, dated},
		{[]string{`"a b"`}, dated},
		{[]string{`"a"b"`}, dated},
		{[]string{`"a", "b"`}, dated},
		{nil, dated},
	} {
		h := http.Header{"Last-Modified": {"Mon, 01 Jan 2024 00:00:00 GMT"}, "X": {"y"}}
		if c.in != nil {
			h["Etag"] = c.in
		}
		VariantETag(h, "v1", false)
		want := http.Header{"X": {"y"}}
		if c.want != nil {
			want["Etag"] = c.want
		}
		if !reflect.DeepEqual(h, want) {
			t.Errorf("%q: %q, want %q", c.in, h, want)
		}
	}
}

// The bytes of a page in a coding of ours are not always the same.
func TestVariantETagRecoded(t *testing.T) {
	for _, c := range []struct {
		header http.Header
		want   []string
	}{
		{http.Header{"Etag": {`"abc"`}}, []string{`W/"abc~cev1"`}},
		{http.Header{"Etag": {`W/"abc"`}}, []string{`W/"abc~cgv1"`}},
		{http.Header{"Last-Modified": {"Thu, 01 Jan 1970 00:01:00 GMT"}}, []string{`W/"1o~clv1"`}},
		{http.Header{"Last-Modified": {"yesterday"}}, nil},
		{http.Header{"Last-Modified": {"Thu, 01 Jan 1970 00:01:00 GMT", "Thu, 01 Jan 1970 00:02:00 GMT"}}, nil},
	} {
		VariantETag(c.header, "v1", true)
		if got := c.header["Etag"]; !reflect.DeepEqual(got, c.want) || len(c.header) != len(c.want) {
			t.Errorf("%q, want %q", c.header, c.want)
		}
	}
}

// A tag made from a date goes on as one, alone.
func TestOriginETagsDate(t *testing.T) {
	const minute = "Thu, 01 Jan 1970 00:01:00 GMT"
	for _, c := range []struct{ match, wantMatch, wantSince string }{
		{`W/"1o~clv1"`, "", minute},
		{`W/"1o~clv2"`, "", ""},
		{`W/"1o~clv1", "a~cgv1"`, `"a"`, ""},
		{`W/"1o~clv1", W/"a~cev1"`, `"a"`, ""},
		{`W/"?~clv1"`, "", ""},
		{`"a~cxv1"`, "", ""},
	} {
		for _, html := range []bool{true, false} {
			h := http.Header{"If-None-Match": {c.match}}
			OriginETags(h, "v1", html)
			wantMatch := c.wantMatch
			if c.match == `"a~cxv1"` && !html {
				wantMatch = c.match // nobody of ours
			}
			if h.Get("If-None-Match") != wantMatch || h.Get("If-Modified-Since") != c.wantSince {
				t.Errorf("%s, html %v: %q", c.match, html, h)
			}
		}
	}
}

func TestOriginETagsB2(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		page []string // what is left when the answer may be HTML
		data []string // otherwise
	}{
		{"own, strong", []string{`"a~cgv1"`}, []string{`"a"`}, []string{`"a"`}},
		{"own, weak", []string{`W/"a~cgv1"`}, []string{`W/"a"`}, []string{`W/"a"`}},
		{"list", []string{`"a~cgv1", W/"b~cgv1"`}, []string{`"a", W/"b"`}, []string{`"a", W/"b"`}},
		{"several lines", []string{`"a~cgv1"`, `"b~cgv2"`, `"c~cgv1"`}, []string{`"a"`, `"c"`}, []string{`"a"`, `"c"`}},
		{"other variants", []string{`"a~cgv2","b~cgv1",W/"c~cgv11"`}, []string{`"b"`}, []string{`"b"`}},
		{"only other variants", []string{`"a~cgv2"`}, nil, nil},
		{"before our time", []string{`"a"`, `W/"b"`}, nil, []string{`"a"`, `W/"b"`}},
		{"mixed", []string{`"a", "b~cgv1"`}, []string{`"b"`}, []string{`"a", "b"`}},
		{"star", []string{`*`}, []string{`*`}, []string{`*`}},
		{"no tags", []string{`abc`, `"x`}, nil, []string{`abc`, `"x`}},
		{"bytes kept", []string{` "a" ,W/"b" , `}, nil, []string{` "a" ,W/"b" , `}},
		{"comma inside", []string{`"a,b~cgv1", "c,d"`}, []string{`"a,b"`}, []string{`"a,b", "c,d"`}},
		{"backslash inside", []string{`"a\", "b~cgv1"`}, []string{`"b"`}, []string{`"a\", "b"`}},
		{"twice ours", []string{`"a~cgv9~cgv1"`}, []string{`"a~cgv9"`}, []string{`"a~cgv9"`}},
		{"mark without variant", []string{`"a~cg"`, `"a~cgV1"`}, nil, []string{`"a~cg"`, `"a~cgV1"`}},
	} {
		for _, html := range []bool{true, false} {
			want := c.data
			if html {
				want = c.page
			}
			h := http.Header{"If-None-Match": append([]string(nil), c.in...), "If-Modified-Since": {"x"}}
			OriginETags(h, "v1", html)
			if got := h["If-None-Match"]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s, html %v: %q, want %q", c.name, html, got, want)
			}
			// B3
			if _, has := h["If-Modified-Since"]; has == html {
				t.Errorf("%s, html %v: If-Modified-Since is there: %v", c.name, html, has)
			}
		}
	}
}

// A write's precondition is about the origin's resource, whatever the variant,
// and must not vanish.
func TestOriginETagsIfMatch(t *testing.T) {
	for _, html := range []bool{true, false} {
		h := http.Header{"If-Match": {`"a~cgv1", "b~cgv2", "c"`, "*"}}
		OriginETags(h, "v1", html)
		if want := (http.Header{"If-Match": {`"a", "b", "c"`, "*"}}); !reflect.DeepEqual(h, want) {
			t.Errorf("%q, want %q", h, want)
		}
	}
}

func TestOriginETagsIfRange(t *testing.T) {
	for _, c := range []struct {
		ifRange string
		kept    bool
	}{
		{`"a"`, true}, {`"a~cgv1"`, false}, {`"a~cgv2"`, false}, {`Mon, 01 Jan 2024 00:00:00 GMT`, true},
	} {
		h := http.Header{"Range": {"bytes=0-9"}, "If-Range": {c.ifRange}}
		OriginETags(h, "v1", false)
		if len(h) != map[bool]int{true: 2, false: 0}[c.kept] {
			t.Errorf("%s: %q", c.ifRange, h)
		}
	}
}

func TestRevalidationB2(t *testing.T) {
	for _, c := range []struct {
		name         string
		request      string
		html         bool
		answer, want string
		ours         bool
	}{
		{"page", `"a~cgv1", W/"b~cgv1"`, true, `"a"`, `"a~cgv1"`, true},
		{"page, weak", `"a~cgv1"`, true, `W/"a"`, `W/"a~cgv1"`, true},
		{"page fetched as data", `"a~cgv1"`, false, `"a"`, `"a~cgv1"`, true},
		{"style sheet", `"css"`, false, `"css"`, `"css"`, false},
		{"both asked, data answered", `"css", "a~cgv1"`, false, `"css"`, `"css"`, false},
		{"recoded", `W/"a~cev1"`, true, `"a"`, `W/"a~cev1"`, true},
		{"recoded, weakened below", `W/"a~cev1"`, true, `W/"a"`, `W/"a~cev1"`, true},
		{"recoded, and weak", `W/"a~cev1", W/"a~cgv1"`, true, `W/"a"`, `W/"a~cgv1"`, true},
		{"one of two recoded", `W/"a~cev1", "b~cgv1"`, true, `"b"`, `"b~cgv1"`, true},
		{"date", `W/"1o~clv1"`, false, ``, `W/"1o~clv1"`, true},
	} {
		h := http.Header{"If-None-Match": {c.request}}
		v := OriginETags(h, "v1", c.html)
		res := http.Header{"Etag": {c.answer}, "Last-Modified": {"x"}}
		if c.answer == "" {
			delete(res, "Etag")
		}
		if ours := v.NotModified(res, "v1"); ours != c.ours {
			t.Errorf("%s: ours %v", c.name, ours)
		}
		if got := res.Get("ETag"); got != c.want {
			t.Errorf("%s: ETag %s, want %s", c.name, got, c.want)
		}
		if _, has := res["Last-Modified"]; has == c.ours {
			t.Errorf("%s: Last-Modified is there: %v", c.name, has)
		}
	}
}

// B12, A16
func TestDropDigestsB12(t *testing.T) {
	h := http.Header{
		"Content-Md5": {"x"}, "Digest": {"x"}, "Repr-Digest": {"x"}, "Content-Digest": {"x"},
		"Signature": {"x"}, "Signature-Input": {"x"}, "Accept-Ranges": {"bytes"}, "Use-As-Dictionary": {"x"},
		"repr-digest":         {"x"},
		"Trailer:Repr-Digest": {"x"}, "Trailer:X-T": {"y"},
		"Trailer": {"Repr-Digest, X-T, content-md5", "Digest"},
		"Age":     {"3"},
	}
	DropDigests(h)
	want := http.Header{"Trailer:X-T": {"y"}, "Trailer": {"X-T"}, "Age": {"3"}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%q, want %q", h, want)
	}
}
