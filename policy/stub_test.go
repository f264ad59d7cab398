package policy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy/catalog"
)

// TestCatalogStubs checks the shape of every stub: it may stand in a script
// element as it is, leaves an existing global alone and marks what it makes.
func TestCatalogStubs(t *testing.T) {
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	stubs := map[string]string{}
	for _, v := range Default().Vendors() {
		stubs[v.ID] = v.Stub
	}
	n := 0
	for _, v := range cat.Vendors {
		s := stubs[v.ID]
		if (s == "") != (v.Stub.Shape == "none") {
			t.Errorf("%s: shape %s, stub %q", v.ID, v.Stub.Shape, s)
		}
		if s == "" {
			continue
		}
		n++
		if strings.ContainsAny(s, "<\n\r") || strings.Contains(s, "-->") {
			t.Errorf("%s: %q cannot stand in a script element", v.ID, s)
		}
		if !strings.HasPrefix(s, "(function(") || !strings.HasSuffix(s, ");") {
			t.Errorf("%s: %q is not one closed statement", v.ID, s)
		}
		if !strings.Contains(s, "cg") || !strings.Contains(s, `"`+v.Stub.Global+`"`) || !regexp.MustCompile(`if\((w\[n\]\)return|!w\[[nq]\])`).MatchString(s) {
			t.Errorf("%s: %q lacks the mark, the global or the guard", v.ID, s)
		}
	}
	if n < 50 {
		t.Errorf("only %d stubs", n)
	}
}

func TestStubSource(t *testing.T) {
	for _, test := range []struct {
		shape, global, queue string
		methods              []string
		want                 string
	}{
		{"none", "", "", nil, ""},
		{"queue-function", "fbq", "", nil, `(function(w,n){if(w[n])return;var f=w[n]=function(){f.q.push(arguments)};f.q=[];f.cg=1})(window,"fbq");`},
		{"array", "$crisp", "", nil, `(function(w,n){if(!w[n]){w[n]=[];w[n].cg=1}})(window,"$crisp");`},
		{"queue-function", "gtag", "dataLayer", nil, `(function(w,n,q){if(!w[q]){w[q]=[];w[q].cg=1}if(w[n])return;w[n]=function(){w[q].push(arguments)};w[n].cg=1})(window,"gtag","dataLayer");`},
	} {
		got, err := stubSource(test.shape, test.global, test.queue, test.methods)
		if err != nil || got != test.want {
			t.Errorf("%s %s: %v\n%s\n%s", test.shape, test.global, err, got, test.want)
		}
	}
	got, err := stubSource("object-noop", "mixpanel", "", []string{"track", "getInstance", "people"})
	if err != nil || !strings.Contains(got, `["track"],["getInstance"],{"people":["set",`) {
		t.Error(got, err)
	}
	for _, test := range []struct {
		shape, global, queue string
		methods              []string
		want                 error
	}{
		{"function", "x", "", nil, errStubShape},
		{"array", "", "", nil, errStubGlobal},
		{"array", "a.b", "", nil, errStubGlobal},
		{"array", "</script>", "", nil, errStubGlobal},
		{"queue-function", "x", "a b", nil, errStubGlobal},
		{"object-noop", "x", "", []string{"m<"}, errStubGlobal},
		{"object-noop", "x", "", nil, errStubMethods},
	} {
		if _, err := stubSource(test.shape, test.global, test.queue, test.methods); err != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
