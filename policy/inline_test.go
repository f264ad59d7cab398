package policy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/policy/catalog"
)

// catalogMatcher returns a matcher with the signatures of the embedded catalog.
func catalogMatcher(tb testing.TB) *inlineMatcher {
	tb.Helper()
	c, err := catalog.Load()
	if err != nil {
		tb.Fatal(err)
	}
	var sigs []inlineSignature
	for i := range c.Vendors {
		v := &Vendor{ID: c.Vendors[i].ID}
		for k, list := range [][]string{c.Vendors[i].Inline.Loader, c.Vendors[i].Inline.Call} {
			for _, text := range list {
				if !inlineUsable(text) {
					tb.Errorf("signature %s of %s cannot be searched for", text, v.ID)
				}
				sigs = append(sigs, inlineSignature{v, text, k == 0})
			}
		}
	}
	return compileInline(sigs)
}

func anyVendor(*Vendor) bool { return true }
func noVendor(*Vendor) bool  { return false }

// inlineAnswer writes what match says as the corpus files do.
func inlineAnswer(m *inlineMatcher, code []byte) string {
	loader, calls := m.match(code, anyVendor, nil)
	answer := "-"
	if loader != nil {
		answer = loader.ID
	}
	var ids []string
	for _, v := range calls {
		ids = append(ids, v.ID)
	}
	slices.Sort(ids)
	if len(ids) > 0 {
		answer += " calls " + strings.Join(ids, " ")
	}
	return answer
}

type inlineCase struct {
	name, want string
	code       string
}

// readInlineCases reads a file of testdata/inline; its README tells the form.
func readInlineCases(tb testing.TB, file string) []inlineCase {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "inline", file))
	if err != nil {
		tb.Fatal(err)
	}
	var cases []inlineCase
	for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
		head, code, _ := strings.Cut(part, "\n")
		name, want, ok := strings.Cut(head, " => ")
		if !ok {
			tb.Fatalf("%s: %q has no answer", file, head)
		}
		words := strings.Fields(want)
		if len(words) > 2 {
			slices.Sort(words[2:])
		}
		cases = append(cases, inlineCase{name, strings.Join(words, " "), code + "\n"})
	}
	return cases
}

var inlineFiles = []string{"held.txt", "calls.txt", "untouched.txt"}

func TestInlineCorpus(t *testing.T) {
	m := catalogMatcher(t)
	for _, file := range inlineFiles {
		for _, c := range readInlineCases(t, file) {
			t.Run(file+"/"+c.name, func(t *testing.T) {
				if got := inlineAnswer(m, []byte(c.code)); got != c.want {
					t.Errorf("got %s, want %s\n%s", got, c.want, c.code)
				}
			})
		}
	}
}
