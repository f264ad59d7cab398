package consent

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var testTime = time.Unix(1_764_000_000, 0) // "t68n40" in base 36

func testScheme() *Scheme {
	return &Scheme{
		Version: "2025-11.a",
		Categories: []Category{
			{ID: "necessary", Name: "Necessary", Fixed: true, DeniedBy: GPC},
			{ID: "functional", Name: "Functional"},
			{ID: "analytics", Name: "Analytics", DeniedBy: DNT},
			{ID: "marketing", Name: "Marketing", DeniedBy: GPC | DNT},
		},
	}
}

// bigScheme has 64 optional categories with ids of the full 32 bytes.
func bigScheme() *Scheme {
	sc := &Scheme{Version: strings.Repeat("v", 32)}
	for i := range MaxCategories {
		// The ids' order differs from the positions' order.
		sc.Categories = append(sc.Categories, Category{ID: fmt.Sprintf("%02d-%s", (i*37)%64, strings.Repeat("x", 29))})
	}
	return sc
}

func encode(sc *Scheme, c Choice) string { return string(appendValue(nil, sc, c)) }

func TestValueGolden(t *testing.T) {
	sc := testScheme()
	for _, tc := range []struct {
		granted Set
		at      time.Time
		want    string
	}{
		{0, testTime, "1~2025-11.a~t68n40~"},
		{Set(0).With(2), testTime, "1~2025-11.a~t68n40~analytics"},
		{^Set(0), testTime, "1~2025-11.a~t68n40~analytics.functional.marketing"},
		{Set(0).With(0), testTime, "1~2025-11.a~t68n40~"}, // a fixed category is not a choice
		{0, time.Unix(-5, 0), "1~2025-11.a~0~"},
		{0, time.Unix(1<<60, 0), "1~2025-11.a~zzzzzzzz~"},
	} {
		if got := encode(sc, Choice{tc.granted, tc.at}); got != tc.want {
			t.Errorf("%b at %s: got %q, want %q", tc.granted, tc.at, got, tc.want)
		}
	}
}

func TestValueOfBigScheme(t *testing.T) {
	sc := bigScheme()
	rnd := rand.New(rand.NewPCG(1, 2))
	sets := []Set{0, 1, ^Set(0), ^Set(0) >> 1}
	for range 200 {
		sets = append(sets, Set(rnd.Uint64()), Set(rnd.Uint64()&rnd.Uint64()&rnd.Uint64()))
	}
	forms := map[byte]int{}
	for _, set := range sets {
		v := encode(sc, Choice{set, testTime})
		forms[v[0]]++
		if len(v) > maxValue {
			t.Fatalf("%d bytes, want at most %d: %s", len(v), maxValue, v)
		}
		c, problem := parseValue(v, sc)
		if problem != NoProblem || c.Granted != set || !c.At.Equal(testTime) {
			t.Fatalf("%b read back as %b, problem %d", set, c.Granted, problem)
		}
	}
	if forms['1'] == 0 || forms['2'] == 0 {
		t.Errorf("both forms should occur: %v", forms)
	}
}

// TestValueSurvivesReorder reads a choice under a policy of the same version in
// which the same categories stand in another order.
func TestValueSurvivesReorder(t *testing.T) {
	for name, sc := range map[string]*Scheme{"ids": testScheme(), "bits": bigScheme()} {
		granted := sc.Optional().Without(Set(0).With(3))
		v := encode(sc, Choice{granted, testTime})
		other := &Scheme{Version: sc.Version}
		for i := len(sc.Categories) - 1; i >= 0; i-- {
			other.Categories = append(other.Categories, sc.Categories[i])
		}
		c, problem := parseValue(v, other)
		if problem != NoProblem {
			t.Fatalf("%s: problem %d", name, problem)
		}
		for i, cat := range sc.Categories {
			if c.Granted.Has(other.Index(cat.ID)) != granted.Has(i) {
				t.Errorf("%s: %s changed", name, cat.ID)
			}
		}
	}
}

func TestBitsNeedTheSameCategories(t *testing.T) {
	sc := bigScheme()
	v := encode(sc, Choice{^Set(0), testTime})
	sc.Categories[7].ID = "renamed"
	if _, problem := parseValue(v, sc); problem != Outdated {
		t.Errorf("problem %d, want Outdated", problem)
	}
	sc = bigScheme()
	sc.Categories[7].Fixed = true
	if _, problem := parseValue(v, sc); problem != Outdated {
		t.Errorf("one became fixed: problem %d, want Outdated", problem)
	}
}

func TestParseValueRefuses(t *testing.T) {
	sc := testScheme()
	for v, want := range map[string]Problem{
		"":                                                 Malformed,
		"1":                                                Malformed,
		"1~2025-11.a":                                      Malformed,
		"1~2025-11.a~t68n40":                               Malformed,
		"1~2025-11.a~~":                                    Malformed,
		"1~2025-11.a~-1~":                                  Malformed,
		"1~2025-11.a~+t68n40~":                             Malformed,
		"1~2025-11.a~0t68n40~":                             Malformed, // leading zero
		"1~2025-11.a~T68N40~":                              Malformed,
		"1~2025-11.a~zzzzzzzzz~":                           Malformed, // nine digits
		"1~2025-11.a~zzzzzzzzzzzzzzzzz~":                   Malformed, // beyond 64 bits
		"1~2025-11.a~t68n40~ ":                             Malformed,
		"1~2025-11.a~t68n40~.":                             Malformed,
		"1~2025-11.a~t68n40~marketing.":                    Malformed,
		"1~2025-11.a~t68n40~.marketing":                    Malformed,
		"1~2025-11.a~t68n40~Marketing":                     Malformed,
		"1~2025-11.a~t68n40~market%69ng":                   Malformed,
		"1~2025-11.a~t68n40~other":                         Malformed, // unknown category
		"1~2025-11.a~t68n40~necessary":                     Malformed, // fixed: never written
		"1~2025-11.a~t68n40~marketing~":                    Malformed,
		"1~2025-11.a~t68n40~marketing\x00":                 Malformed,
		`"1~2025-11.a~t68n40~marketing"`:                   Malformed,
		"1~2025-11.a~t68n40~marketing.analytics":           Malformed, // not in order
		"1~2025-11.a~t68n40~analytics.analytics.marketing": Malformed, // twice
		"2~2025-11.a~t68n40~7.0":                           Outdated,  // digest of other categories
		"2~2025-11.a~t68n40~7":                             Malformed,
		"2~2025-11.a~t68n40~":                              Malformed,
		"3~2025-11.a~t68n40~marketing":                     Malformed,
		"01~2025-11.a~t68n40~marketing":                    Malformed,
		"1~2025-11.b~t68n40~marketing":                     Outdated,
		"1~~t68n40~marketing":                              Outdated,
		"1~2025-11.A~t68n40~marketing":                     Outdated,
		strings.Repeat("1", 10<<10):                        Malformed,
		"1~2025-11.a~t68n40~" + strings.Repeat("marketing.", 1<<10): Malformed,
	} {
		if c, problem := parseValue(v, sc); problem != want || c.Granted != 0 {
			t.Errorf("%.60q: granted %b, problem %d, want %d", v, c.Granted, problem, want)
		}
	}
	// The short form must not be accepted where the long one would be written,
	// nor the other way round.
	order, n := sc.sorted()
	v := fmt.Sprintf("2~2025-11.a~t68n40~7.%s", base36(sc.digest(order[:n])))
	if _, problem := parseValue(v, sc); problem != Malformed {
		t.Errorf("%q: problem %d, want Malformed", v, problem)
	}
}

func base36(n uint64) string {
	s := ""
	for ; n > 0; n /= 36 {
		s = string("0123456789abcdefghijklmnopqrstuvwxyz"[n%36]) + s
	}
	return s
}

func TestParse36(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "z": 35, "10": 36, "3w5e11264sgsf": 1<<64 - 1} {
		if n, ok := parse36(s); !ok || n != want {
			t.Errorf("%q: %d, %t", s, n, ok)
		}
	}
	for _, s := range []string{"", "3w5e11264sgsg", "3w5e11264sgsf0", "A", "1 ", "1\x00", "-1"} {
		if n, ok := parse36(s); ok {
			t.Errorf("%q: read as %d", s, n)
		}
	}
}

func TestEachCookie(t *testing.T) {
	for line, want := range map[string]string{
		"":                    "[||]",
		"a=1; b=2":            "[a=1|a|1][ b=2|b|2]",
		";a=1;;":              "[||][a=1|a|1][||][||]",
		"v":                   "[v||v]", // nameless
		"=v":                  "[=v||v]",
		"=a=v":                "[=a=v||a=v]",
		"a":                   "[a||a]",
		"a=":                  "[a=|a|]",
		"a=b=c":               "[a=b=c|a|b=c]",
		" \ta \t=\t 1 \t":     "[ \ta \t=\t 1 \t|a|1]",
		`a="x;y"`:             `[a="x|a|"x][y"||y"]`, // quotes protect nothing
		"a=1,b=2":             "[a=1,b=2|a|1,b=2]",
		"\u2000a=1":           "[\u2000a=1|\u2000a|1]", // a Unicode space is part of the name
		"\u00a0a=1":           "[\u00a0a=1|\u00a0a|1]",
		"\va=1\f":             "[\va=1\f|\va|1\f]",
		"a=\x00\xff; \x80=\n": "[a=\x00\xff|a|\x00\xff][ \x80=\n|\x80|\n]",
	} {
		if got := pieces(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	n := 0
	EachCookie("a;b;c", func(_, _, _ string) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("f was called %d times after it said stop at 2", n)
	}
}

func pieces(line string) string {
	var b strings.Builder
	EachCookie(line, func(pair, name, value string) bool {
		fmt.Fprintf(&b, "[%s|%s|%s]", pair, name, value)
		return true
	})
	return b.String()
}

func FuzzEachCookie(f *testing.F) {
	for _, s := range []string{"", ";", "a=1; b=2", `a="x;y"`, "=v;v", "\u2000__Host-cg=1; a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var pairs []string
		EachCookie(line, func(pair, name, value string) bool {
			pairs = append(pairs, pair)
			if !strings.Contains(pair, name) || !strings.Contains(pair, value) {
				t.Errorf("%q: name %q or value %q is not in it", pair, name, value)
			}
			if strings.Contains(name, "=") {
				t.Errorf("name %q holds a \"=\"", name)
			}
			for _, s := range []string{name, value} {
				if s != strings.Trim(s, " \t") {
					t.Errorf("%q was not trimmed", s)
				}
			}
			return true
		})
		if got := strings.Join(pairs, ";"); got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	})
}

// FuzzValue checks that a written choice reads back equal, and that whatever is
// read, from any bytes, is exactly what would have been written: so no change of
// a value can add a category unless it spells out a choice we would write.
func FuzzValue(f *testing.F) {
	small, big := testScheme(), bigScheme()
	f.Add("1~2025-11.a~t68n40~analytics.marketing", uint64(6), int64(1_764_000_000))
	f.Add(encode(big, Choice{^Set(0), testTime}), ^uint64(0), int64(0))
	f.Add("2~2025-11.a~t68n40~7.0", uint64(1), int64(-1))
	f.Fuzz(func(t *testing.T, v string, bits uint64, seconds int64) {
		for _, sc := range []*Scheme{small, big, {}} {
			if c, problem := parseValue(v, sc); problem == NoProblem {
				if got := encode(sc, c); got != v {
					t.Errorf("%q was read, but would be written %q", v, got)
				}
				if c.Granted.Without(sc.Optional()) != 0 {
					t.Errorf("%q grants %b, which is not on offer", v, c.Granted)
				}
			} else if c != (Choice{}) {
				t.Errorf("%q: problem %d and yet %+v", v, problem, c)
			}
			want := Choice{Set(bits) & sc.Optional(), time.Unix(min(max(seconds, 0), latest), 0)}
			w := encode(sc, Choice{Set(bits), time.Unix(seconds, 0)})
			if got, problem := parseValue(w, sc); problem != NoProblem || got != want {
				t.Errorf("%q: got %+v, problem %d, want %+v", w, got, problem, want)
			}
		}
	})
}

// TestMutationAddsNothing changes every byte of a value to every other byte,
// drops it, and doubles it. A change may only ever be read as what it spells.
func TestMutationAddsNothing(t *testing.T) {
	for name, sc := range map[string]*Scheme{"ids": testScheme(), "bits": bigScheme()} {
		granted := sc.Optional().Without(Set(0).With(1))
		v := encode(sc, Choice{granted, testTime})
		read := 0
		try := func(m string) {
			c, problem := parseValue(m, sc)
			if problem != NoProblem {
				return
			}
			read++
			if encode(sc, c) != m {
				t.Errorf("%s: %q was read as something else", name, m)
			}
			if name == "ids" && c.Granted.Without(granted) != 0 {
				t.Errorf("%s: %q adds a category", name, m)
			}
		}
		for i := range v {
			for b := range 256 {
				try(v[:i] + string([]byte{byte(b)}) + v[i+1:])
			}
			try(v[:i] + v[i+1:])
			try(v[:i+1] + v[i:])
		}
		if read == 0 {
			t.Errorf("%s: other times should have been read", name)
		}
	}
}

func TestValueIsCookieOctets(t *testing.T) {
	for _, sc := range []*Scheme{testScheme(), bigScheme()} {
		for _, b := range []byte(encode(sc, Choice{^Set(0), testTime})) {
			// RFC 6265bis, section 4.1.1.
			if b < 0x21 || b > 0x7e || strings.IndexByte(`",;\`, b) >= 0 {
				t.Errorf("byte %q is not a cookie-octet", b)
			}
		}
	}
}

func TestParseValueAllocs(t *testing.T) {
	for _, sc := range []*Scheme{testScheme(), bigScheme()} {
		v := encode(sc, Choice{^Set(0), testTime})
		if n := testing.AllocsPerRun(100, func() { parseValue(v, sc) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
