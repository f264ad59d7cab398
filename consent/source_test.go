package consent

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const all = "1~2025-11.a~t68n40~analytics.functional.marketing"

func testResolver() *Resolver {
	return &Resolver{Scheme: testScheme(), Now: func() time.Time { return testTime.Add(time.Hour) }}
}

// TestResolveHostile reads headers that an attacker, another server of the
// domain or an old browser could send. Only the exact cookie counts.
func TestResolveHostile(t *testing.T) {
	full := testScheme().Optional()
	many := strings.Repeat("a=1; ", MaxCookies-1)
	for _, tc := range []struct {
		name    string
		secure  bool
		cookies []string
		problem Problem
		granted Set
		decided bool
	}{
		{name: "no cookie"},
		{name: "empty line", cookies: []string{""}},
		{"http", false, []string{"cg=" + all}, NoProblem, full, true},
		{"https", true, []string{"__Host-cg=" + all}, NoProblem, full, true},
		{"denial", true, []string{"__Host-cg=1~2025-11.a~t68n40~"}, NoProblem, 0, true},
		{"among others", true, []string{"a=1;b;=c;;  __Host-cg=" + all + "\t; d=\"x"}, NoProblem, full, true},
		{"second line", true, []string{"a=1", "__Host-cg=" + all}, NoProblem, full, true},
		{"same value twice", true, []string{"__Host-cg=" + all + "; __Host-cg=" + all}, NoProblem, full, true},
		{"plain name on https is not read", true, []string{"cg=" + all}, NoProblem, 0, false},
		{"prefixed name on http is not read", false, []string{"__Host-cg=" + all}, NoProblem, 0, false},
		{"F7 two values", true, []string{"__Host-cg=" + all + "; __Host-cg=1~2025-11.a~t68n40~"}, Conflicting, 0, false},
		{"F7 two values in two lines", true, []string{"__Host-cg=1~2025-11.a~t68n40~", "__Host-cg=" + all}, Conflicting, 0, false},
		{"F7 garbage beside a good value", false, []string{"cg=" + all + "; cg=x"}, Conflicting, 0, false},
		{"F7 empty value first", false, []string{"cg=; cg=" + all}, Conflicting, 0, false},
		{"F7 Unicode space before the name", true, []string{"\u2000__Host-cg=" + all}, NoProblem, 0, false},
		{"F7 no-break space before the name", true, []string{"\u00a0__Host-cg=" + all}, NoProblem, 0, false},
		{"F7 NEL byte before the name", true, []string{"\x85__Host-cg=" + all}, NoProblem, 0, false},
		{"F7 Unicode space after the name", true, []string{"__Host-cg\u3000=" + all}, NoProblem, 0, false},
		{"F7 Unicode space before the value", true, []string{"__Host-cg=\u2000" + all}, Malformed, 0, false},
		{"vertical tab before the name", true, []string{"\v__Host-cg=" + all}, NoProblem, 0, false},
		{"case variant", true, []string{"__host-cg=" + all + "; __HOST-CG=" + all + "; __Host-CG=" + all}, NoProblem, 0, false},
		{"case variant on http", false, []string{"CG=" + all}, NoProblem, 0, false},
		{"nameless look-alike", true, []string{"=__Host-cg=" + all}, NoProblem, 0, false},
		{"longer name", true, []string{"__Host-cg2=" + all + "; x__Host-cg=" + all}, NoProblem, 0, false},
		{"quoted", true, []string{`__Host-cg="` + all + `"`}, Malformed, 0, false},
		{"percent-encoded", true, []string{"__Host-cg=1%7E2025-11.a%7Et68n40%7Emarketing"}, Malformed, 0, false},
		{"inside another cookie's quotes", true, []string{`a="; __Host-cg=` + all + `; b="`}, NoProblem, full, true},
		{"comma does not split", true, []string{"a=1, __Host-cg=" + all}, NoProblem, 0, false},
		{"NUL in the value", true, []string{"__Host-cg=" + all + "\x00"}, Malformed, 0, false},
		{"NUL in the name", true, []string{"__Host-cg\x00=" + all}, NoProblem, 0, false},
		{"garbage", true, []string{"__Host-cg=\xff\xfe\x00{}[]"}, Malformed, 0, false},
		{"empty", true, []string{"__Host-cg="}, Malformed, 0, false},
		{"JSON", true, []string{`__Host-cg={"marketing":true}`}, Malformed, 0, false},
		{"10 KB", true, []string{"__Host-cg=" + strings.Repeat("~1", 5<<10)}, Malformed, 0, false},
		{"unknown category", true, []string{"__Host-cg=1~2025-11.a~t68n40~analytics.new"}, Malformed, 0, false},
		{"other policy version", true, []string{"__Host-cg=1~2024-01~t68n40~marketing"}, Outdated, 0, false},
		{"other format version", true, []string{"__Host-cg=9~2025-11.a~t68n40~marketing"}, Malformed, 0, false},
		{"F2 3000 cookies", true, []string{many + "__Host-cg=" + all}, NoProblem, full, true},
		{"F2 3001 cookies", true, []string{many + "a=1; __Host-cg=" + all}, Malformed, 0, false},
		{"F2 3001 cookies, ours first", true, []string{"__Host-cg=" + all + "; " + many + "a=1"}, Malformed, 0, false},
		{"F2 3001 cookies in lines", true, []string{"__Host-cg=" + all, many + "a=1"}, Malformed, 0, false},
		{"F2 semicolons", true, []string{"__Host-cg=" + all + strings.Repeat(";", MaxCookies)}, Malformed, 0, false},
	} {
		h := http.Header{}
		if tc.cookies != nil {
			h["Cookie"] = tc.cookies
		}
		s := testResolver().Resolve(h, tc.secure)
		if s.Problem != tc.problem || s.Granted != tc.granted || s.Chosen != tc.granted || s.Decided != tc.decided {
			t.Errorf("%s: got %+v, want decided %t, problem %d, granted %b", tc.name, s, tc.decided, tc.problem, tc.granted)
		}
		if s.Decided != s.At.Equal(testTime) {
			t.Errorf("%s: decided %t at %s", tc.name, s.Decided, s.At)
		}
	}
}

func TestResolveAge(t *testing.T) {
	day := 24 * time.Hour
	for _, tc := range []struct {
		maxAge, age time.Duration
		want        Problem
	}{
		{0, 0, NoProblem},
		{0, DefaultMaxAge, NoProblem},
		{0, DefaultMaxAge + time.Second, Expired},
		{day, day, NoProblem},
		{day, day + time.Second, Expired},
		{1000 * day, LongestMaxAge, NoProblem},
		{1000 * day, LongestMaxAge + time.Second, Expired},
		{-day, DefaultMaxAge + time.Second, Expired},
		{0, -5 * time.Minute, NoProblem},
		{0, -5*time.Minute - time.Second, Expired},
		{0, -1000 * day, Expired},
	} {
		r := testResolver()
		r.MaxAge = tc.maxAge
		r.Now = func() time.Time { return testTime.Add(tc.age) }
		s := r.Resolve(http.Header{"Cookie": {"cg=" + all}}, false)
		if s.Problem != tc.want || s.Decided != (tc.want == NoProblem) || (s.Granted != 0) != s.Decided {
			t.Errorf("max age %s, age %s: %+v, want problem %d", tc.maxAge, tc.age, s, tc.want)
		}
	}
	far := testResolver().Resolve(http.Header{"Cookie": {"cg=1~2025-11.a~zzzzzzzz~marketing"}}, false)
	if far.Problem != Expired || far.Granted != 0 {
		t.Errorf("the latest time there is: %+v", far)
	}
}

func TestResolveSignals(t *testing.T) {
	sc := testScheme()
	functional, analytics, marketing := Set(0).With(1), Set(0).With(2), Set(0).With(3)
	for _, tc := range []struct {
		name    string
		gpc     []string
		dnt     []string
		signals Signals
		granted Set
	}{
		{"none", nil, nil, 0, functional | analytics | marketing},
		{"GPC", []string{"1"}, nil, GPC, functional | analytics},
		{"DNT", nil, []string{"1"}, DNT, functional},
		{"both", []string{"1"}, []string{"1"}, GPC | DNT, functional},
		{"GPC 0", []string{"0"}, []string{"0"}, 0, sc.Optional()},
		{"GPC true", []string{"true"}, nil, 0, sc.Optional()},
		{"GPC ?1", []string{"?1"}, nil, 0, sc.Optional()},
		{"GPC 11", []string{"11"}, nil, 0, sc.Optional()},
		{"GPC 1 with space", []string{"1 "}, nil, 0, sc.Optional()},
		{"GPC empty", []string{""}, []string{"null", "unspecified"}, 0, sc.Optional()},
		{"contradiction", []string{"0", "1"}, nil, GPC, functional | analytics},
	} {
		h := http.Header{"Cookie": {"cg=" + all}, "Sec-Gpc": tc.gpc, "Dnt": tc.dnt}
		s := testResolver().Resolve(h, false)
		if s.Signals != tc.signals || s.Granted != tc.granted || s.Chosen != sc.Optional() || !s.Decided {
			t.Errorf("%s: %+v, want signals %b, granted %b", tc.name, s, tc.signals, tc.granted)
		}
		h.Del("Cookie")
		if s := testResolver().Resolve(h, false); s.Signals != tc.signals || s.Granted != 0 || s.Decided {
			t.Errorf("%s without a cookie: %+v", tc.name, s)
		}
	}
}

// TestSignalsOnlyTakeAway compares every state with and without signals.
func TestSignalsOnlyTakeAway(t *testing.T) {
	sc := testScheme()
	if got := sc.DeniedBy(GPC); got != Set(0).With(3) {
		t.Errorf("GPC takes away %b; a fixed category stays", got)
	}
	for set := range Set(16) {
		plain := sc.Decide(Choice{Granted: set}, 0)
		for sig := range Signals(4) {
			s := sc.Decide(Choice{Granted: set}, sig)
			if s.Granted.Without(plain.Granted) != 0 || s.Chosen != plain.Chosen {
				t.Errorf("%b with signals %b: %+v", set, sig, s)
			}
		}
	}
}

func TestZeroResolver(t *testing.T) {
	var r Resolver
	for _, secure := range []bool{false, true} {
		s := r.Resolve(http.Header{"Cookie": {r.Name(secure) + "=1~~t68n40~"}, "Sec-Gpc": {"1"}}, secure)
		if s != (State{Signals: GPC}) {
			t.Errorf("secure %t: %+v", secure, s)
		}
	}
	if got := r.SetCookie(Choice{Granted: ^Set(0), At: testTime}, false); !strings.HasPrefix(got, "cg=1~~t68n40~;") {
		t.Errorf("got %q", got)
	}
	if r.Validate() == nil {
		t.Error("no scheme, and yet valid")
	}
}

func TestSetCookieGolden(t *testing.T) {
	r := testResolver()
	c := Choice{Granted: Set(0).With(2), At: testTime}
	for _, tc := range []struct {
		r      Resolver
		c      Choice
		secure bool
		want   string
	}{
		{*r, c, false, "cg=1~2025-11.a~t68n40~analytics; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax"},
		{*r, c, true, "__Host-cg=1~2025-11.a~t68n40~analytics; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure"},
		{*r, Choice{}, true, "__Host-cg=1~2025-11.a~t68pw0~; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure"},
		{Resolver{Scheme: r.Scheme, CookieName: "choice", MaxAge: 1000 * 24 * time.Hour}, c, true,
			"__Host-choice=1~2025-11.a~t68n40~analytics; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure"},
	} {
		if got := tc.r.SetCookie(tc.c, tc.secure); got != tc.want {
			t.Errorf("\n got %s\nwant %s", got, tc.want)
		}
	}
}

// TestSetCookieThenResolve sends each cookie back as a browser would.
func TestSetCookieThenResolve(t *testing.T) {
	for _, sc := range []*Scheme{testScheme(), bigScheme()} {
		r := testResolver()
		r.Scheme, r.CookieName = sc, "choice"
		for _, secure := range []bool{false, true} {
			for _, set := range []Set{0, sc.Optional(), Set(0).With(2)} {
				line, _, _ := strings.Cut(r.SetCookie(Choice{set, testTime}, secure), ";")
				if len(line) > 1024 {
					t.Errorf("%d bytes, want at most 1024", len(line))
				}
				h := http.Header{"Cookie": {line}}
				if s := r.Resolve(h, secure); !s.Decided || s.Granted != set {
					t.Errorf("%s: %+v", line, s)
				}
				if s := r.Resolve(h, !secure); s.Decided {
					t.Errorf("%s counts on the other scheme: %+v", line, s)
				}
			}
		}
	}
}

func TestValidate(t *testing.T) {
	sc := testScheme()
	for _, r := range []Resolver{
		{Scheme: sc},
		{Scheme: sc, CookieName: "my_choice-2", MaxAge: LongestMaxAge},
	} {
		if err := r.Validate(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for want, r := range map[string]Resolver{
		"no scheme":         {},
		"use only letters":  {Scheme: sc, CookieName: "a b"},
		"leave out the":     {Scheme: sc, CookieName: "__Host-cg"},
		"at most 400 days":  {Scheme: sc, MaxAge: LongestMaxAge + time.Second},
		"use whole seconds": {Scheme: sc, MaxAge: time.Millisecond},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestLevel(t *testing.T) {
	sc := testScheme()
	for _, tc := range []struct {
		s    State
		sc   *Scheme
		want string
	}{
		{State{}, sc, "undecided"},
		{State{Granted: sc.Optional()}, sc, "undecided"},
		{sc.Decide(Choice{}, 0), sc, "denied"},
		{sc.Decide(Choice{Granted: Set(0).With(3)}, GPC), sc, "denied"},
		{sc.Decide(Choice{Granted: Set(0).With(2)}, 0), sc, "partial"},
		{sc.Decide(Choice{Granted: ^Set(0)}, GPC), sc, "partial"},
		{sc.Decide(Choice{Granted: ^Set(0)}, 0), sc, "granted"},
		{State{Decided: true}, nil, "denied"},
	} {
		if got := tc.s.Level(tc.sc); got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.s, got, tc.want)
		}
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("__Host-cg="+all, "a=1", "1", true)
	f.Add("cg="+all+"; cg="+all, "", "", false)
	f.Fuzz(func(t *testing.T, line1, line2, gpc string, secure bool) {
		r := testResolver()
		h := http.Header{"Cookie": {line1, line2}, "Sec-Gpc": {gpc}}
		s := r.Resolve(h, secure)
		if s.Granted.Without(s.Chosen) != 0 || s.Chosen.Without(r.Scheme.Optional()) != 0 {
			t.Errorf("%+v grants more than was chosen or on offer", s)
		}
		if !s.Decided && (s.Chosen != 0 || !s.At.IsZero()) || s.Decided && s.Problem != NoProblem {
			t.Errorf("%+v contradicts itself", s)
		}
		// A decided state needs our exact bytes in the header.
		if want := encode(r.Scheme, Choice{s.Chosen, s.At}); s.Decided && !strings.Contains(line1+";"+line2, want) {
			t.Errorf("%+v out of %q, %q without %q", s, line1, line2, want)
		}
	})
}

func TestResolveAllocs(t *testing.T) {
	r := testResolver()
	h := http.Header{"Cookie": {"a=1; b=2; __Host-cg=" + all + "; c=3"}, "Sec-Gpc": {"1"}}
	if n := testing.AllocsPerRun(100, func() { r.Resolve(h, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkResolve(b *testing.B) {
	r := testResolver()
	h := http.Header{"Cookie": {"_ga=GA1.1.1.1; sid=abcdef; __Host-cg=" + all + "; _fbp=fb.1.2.3"}}
	b.ReportAllocs()
	for b.Loop() {
		r.Resolve(h, true)
	}
}
