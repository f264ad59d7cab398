package rewriter

import (
	"bytes"
	"fmt"
	"testing"
)

// encoderCodings are all that an Encoder applies.
var encoderCodings = []string{"gzip", "br", "zstd", ""}

// decodeOf returns the list a Decoder takes for a coding.
func decodeOf(coding string) []string {
	if coding == "" {
		return nil
	}
	return []string{coding}
}

// What was written before a Flush is out of a decoder after it, at every size of
// piece and however often is flushed.
func TestEncoderRoundTrip(t *testing.T) {
	text := testText(300 << 10)
	for _, coding := range encoderCodings {
		for _, size := range []int{1, 2, 15, 16, 100, 1000, 4 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, len(text)} {
			for _, every := range []int{0, 1, 2, 7} {
				t.Run(fmt.Sprintf("%s/%d/%d", coding, size, every), func(t *testing.T) {
					part := text
					if size < 16 {
						part = text[:3000]
					}
					roundTrip(t, coding, part, size, every)
				})
			}
		}
	}
}

func roundTrip(t *testing.T, coding string, text []byte, size, every int) {
	t.Helper()
	var wire, out bytes.Buffer
	e := NewEncoder(coding, &wire)
	d, err := NewDecoder(decodeOf(coding), &out, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	pass := func() {
		t.Helper()
		if _, err := d.Write(wire.Next(wire.Len())); err != nil {
			t.Fatal(err)
		}
	}
	written := 0
	for i := 1; written < len(text); i++ {
		n := min(size, len(text)-written)
		if k, err := e.Write(text[written : written+n]); k != n || err != nil {
			t.Fatalf("Write: %d, %v", k, err)
		}
		written += n
		if every > 0 && i%every == 0 {
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
			pass()
			if out.Len() != written {
				t.Fatalf("%d of %d bytes are out", out.Len(), written)
			}
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	pass()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), text) {
		t.Fatal("the text has changed")
	}
}

// A copy kept for everybody is in the coding the site chose, as without the
// gateway.
func TestKeptCoding(t *testing.T) {
	const all = "gzip, deflate, br, zstd"
	for _, c := range []struct {
		accept string
		site   []string
		want   string
	}{
		{all, []string{"gzip"}, "gzip"},
		{all, []string{"br"}, "br"},
		{all, []string{"zstd"}, "zstd"},
		{all, []string{"deflate"}, "zstd"}, // never applied
		{all, []string{"gzip", "br"}, "br"},
		{all, nil, ""},
		{"*", []string{"gzip"}, "gzip"},
		{"br", []string{"gzip"}, "br"},
		{"br, gzip;q=0", []string{"gzip"}, "br"},
		{"identity", []string{"gzip"}, ""},
		{"", []string{"gzip"}, ""},
		{"identity, gzip;q=0.5", []string{"gzip"}, ""},
	} {
		if got := KeptCoding([]string{c.accept}, c.site); got != c.want {
			t.Errorf("%q, site %q: %q, want %q", c.accept, c.site, got, c.want)
		}
	}
}
