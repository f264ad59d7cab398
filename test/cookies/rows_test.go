package cookies

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rows are what is known to go wrong with cookies, and the tests that hold the
// gateway to it: by package, then test.
var rows = []struct {
	id, what string
	tests    []string
}{
	{"F1", "Go's cookie parser drops and rewrites pairs: the site gets the survivors' bytes in order", []string{
		"test/cookies TestCookieF1", "test/e2e TestCookieChromiumF1", "rewriter TestFilterCookieF1", "rewriter FuzzFilterCookie", "caddymodule TestRequestCookies"}},
	{"F2", "with more than 3000 pairs the header goes, never on unread", []string{
		"test/cookies TestCookieF1", "rewriter TestFilterCookieF2"}},
	{"F3", "cookies without a name are held", []string{
		"test/cookies TestSetCookieF4", "test/cookies TestCookieF1", "test/e2e TestSetCookieChromium", "rewriter TestFilterSetCookieF3", "policy TestNameless"}},
	{"F4", "a line is judged by the name under which Chromium stores its cookie", []string{
		"test/e2e TestSetCookieChromium", "test/cookies TestSetCookieNames", "test/cookies TestSetCookieF4", "rewriter TestFilterSetCookieF4", "rewriter TestDeletions", "rewriter TestDeletionDate", "rewriter TestCookieDate"}},
	{"F5", "every line of the field, under any spelling, in order", []string{
		"test/cookies TestSetCookieF6", "rewriter TestFilterSetCookieF5", "rewriter FuzzFilterSetCookie"}},
	{"F6", "every status and type, subresources, 1xx", []string{
		"test/cookies TestSetCookieF6", "test/cookies TestSetCookieInformational", "test/e2e TestCookiesChromiumF6", "caddymodule TestContractA4Informational"}},
	{"F7", "a planted or doubled choice counts for none", []string{
		"test/cookies TestOwnCookieF7", "consent TestResolveHostile"}},
	{"F8", "the prefix on HTTPS, browsers' rules for prefixes, none on plain HTTP", []string{
		"test/cookies TestOwnCookieF9", "test/cookies TestOwnCookieF7", "test/e2e TestSetCookieChromium", "test/e2e TestSecureSite", "consent/api TestDeletionsGolden"}},
	{"F9", "at most 400 days, Lax, Path=/, no Domain", []string{
		"test/cookies TestOwnCookieF9", "consent TestSetCookieGolden", "consent TestValidate"}},
	{"F10", "a withdrawal removes vendors' cookies wherever they were stored", []string{
		"test/e2e TestDeletionChromiumF10", "consent/api TestDeletionsGolden"}},
	{"F11", "no bytes of the visitor's make a header", []string{
		"test/cookies TestOwnCookieF11", "consent TestValueIsCookieOctets", "consent/api TestDeletionNames", "consent/api TestRedirect"}},
	{"F12", "an answer with deletions stays below 4 KiB of header", []string{
		"test/cookies TestOwnCookieF12", "consent/api TestDeletionsBudget"}},
	{"F13", "the site neither sets nor reads our cookie", []string{
		"test/cookies TestSetCookieF4", "test/cookies TestCookieF1", "test/e2e TestSetCookieChromium", "rewriter TestFilterSetCookieF13"}},
	{"F14", "several lines, folded lines and crumbs become one line", []string{
		"test/cookies TestCookieF14", "test/cookies TestCookieF1", "test/e2e TestCookieChromiumF1"}},
	{"F15", "quotes and $Version protect nothing", []string{
		"test/cookies TestCookieF1", "test/cookies TestCookieF14"}},
}

// TestRows is the index of the rows: each has tests, and they exist.
func TestRows(t *testing.T) {
	tests := make(map[string]map[string]bool) // by package
	for i, r := range rows {
		if want := fmt.Sprintf("F%d", i+1); r.id != want {
			t.Errorf("row %d is %s, want %s", i, r.id, want)
		}
		if len(r.tests) == 0 {
			t.Errorf("%s has no test", r.id)
		}
		for _, name := range r.tests {
			pkg, test, _ := strings.Cut(name, " ")
			if tests[pkg] == nil {
				tests[pkg] = testsOf(t, pkg)
			}
			if !tests[pkg][test] {
				t.Errorf("%s: there is no %s in %s", r.id, test, pkg)
			}
		}
	}
}

// TestRowsOfTable compares the index with the table it is an index of.
func TestRowsOfTable(t *testing.T) {
	text, err := os.ReadFile("../../../shared/design/pitfalls.md")
	if err != nil {
		t.Skip("the table is not there: ", err)
	}
	var listed []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) > 2 && strings.HasPrefix(cells[1], " F") && len(strings.TrimSpace(cells[1])) < 4 {
			listed = append(listed, strings.TrimSpace(cells[1]))
		}
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	if !slices.Equal(listed, ids) {
		t.Errorf("the table has %q, the index %q", listed, ids)
	}
}

// testsOf returns the names of a package's tests and fuzz targets.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}
