package rewriter

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// A18: a body under the label of another coding is a fault, never text.
func TestDecoderMislabelled(t *testing.T) {
	text := testText(100 << 10)
	for _, label := range testKinds {
		for _, k := range testKinds {
			if k.coding == label.coding {
				continue
			}
			data := testEncode(t, k.kind, text)
			for _, size := range []int{0, 1, 4096} {
				got, err := push(t, []string{label.coding}, data, size)
				if !errors.Is(err, ErrCorrupt) || len(got) > 16 {
					t.Errorf("%s as %s by %d: %d bytes, %v", k.kind, label.coding, size, len(got), err)
				}
			}
			// One coding was applied, two are named.
			for _, codings := range [][]string{{k.coding, label.coding}, {label.coding, k.coding}} {
				if _, err := push(t, codings, data, 0); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s as %q: %v", k.kind, codings, err)
				}
			}
		}
		data := testEncode(t, label.kind, text)
		if _, err := push(t, []string{label.coding, label.coding}, data, 0); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s as twice that: %v", label.kind, err)
		}
	}
}

// A18: wherever a body ends too early, alone or stacked, what comes out is the
// beginning of the text, and the end is a fault.
func TestDecoderTruncated(t *testing.T) {
	text := testText(2000)
	for _, k := range testKinds {
		data := testEncode(t, k.kind, text)
		for n := 1; n < len(data); n++ {
			got, err := push(t, []string{k.coding}, data[:n], 0)
			if !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(text, []byte(got)) {
				t.Fatalf("%s, %d of %d bytes: %d bytes, %v", k.kind, n, len(data), len(got), err)
			}
		}
		for _, inner := range testKinds {
			cut := testEncode(t, inner.kind, text)
			cut = testEncode(t, k.kind, cut[:len(cut)-1])
			got, err := push(t, []string{inner.coding, k.coding}, cut, 0)
			if !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(text, []byte(got)) {
				t.Errorf("%s, cut, in %s: %d bytes, %v", inner.kind, k.kind, len(got), err)
			}
		}
	}
}

// A18: members of gzip, and frames of zstd with frames to skip between them (RFC
// 8878, section 3.1.2), follow each other in one body.
func TestDecoderMembersAndFrames(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	skip := func(magic byte, size int) []byte {
		head := []byte{magic, 0x2a, 0x4d, 0x18, byte(size), byte(size >> 8), 0, 0}
		return append(head, make([]byte, size)...)
	}
	z := func(s string) []byte { return testEncode(t, "zstd", []byte(s)) }
	g := func(s string) []byte { return testEncode(t, "gzip", []byte(s)) }
	for _, c := range []struct {
		name, coding string
		data         []byte
		want         string
		failed       bool
	}{
		{"two members", "gzip", join(g("a"), g("b")), "ab", false},
		{"an empty member between", "gzip", join(g("a"), g(""), g("b")), "ab", false},
		{"an empty member first", "gzip", join(g(""), g("b")), "b", false},
		{"zeros between members", "gzip", join(g("a"), make([]byte, 3), g("b")), "a", false},
		{"half a member", "gzip", join(g("a"), g("b")[:12]), "a", true},
		{"the first two bytes of a member", "gzip", join(g("a"), g("b")[:2]), "a", false},
		{"two frames", "zstd", join(z("a"), z("b")), "ab", false},
		{"a frame to skip first", "zstd", join(skip(0x50, 3), z("a")), "a", false},
		{"the last kind of frame to skip", "zstd", join(skip(0x5f, 3), z("a")), "a", false},
		{"a frame to skip last", "zstd", join(z("a"), skip(0x50, 0)), "a", false},
		{"a frame to skip between", "zstd", join(z("a"), skip(0x5a, 5000), z("b")), "ab", false},
		{"a frame to skip alone", "zstd", skip(0x50, 3), "", false},
		{"half a frame to skip", "zstd", join(z("a"), skip(0x50, 30)[:20]), "a", true},
		{"half a frame", "zstd", join(z("a"), z("b")[:5]), "a", true},
		{"zeros behind a frame", "zstd", join(z("a"), make([]byte, 8)), "a", true},
	} {
		for _, size := range []int{0, 1, 7} {
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				got, err := push(t, []string{c.coding}, c.data, size)
				if got != c.want || errors.Is(err, ErrCorrupt) != c.failed || err != nil && !c.failed {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
	}
}
