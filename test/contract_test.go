package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The contract of the gateway with HTTP, caches, browsers and Caddy: what is known
// to go wrong, by letter and number, and the tests that hold the gateway to it, by
// package. A writer and protocol, B validators and caches, D character sets and
// types, E limits and failure, F cookies, I life inside Caddy.
var contract = []struct {
	id, what string
	tests    []string
}{
	{"A1", "wrappers around do not take flushes and upgrades away", tests("test/protocol TestRows TestWebSocket TestWebSocketH2; caddymodule TestContractA1Streams")},
	{"A2", "a flush before the first byte settles no status", tests("test/protocol TestRows; caddymodule TestContractA2EarlyFlush")},
	{"A3", "ReadFrom does not pass the rewriter by, and files keep sendfile", tests("test/protocol TestRows; caddymodule TestContractA3ReadFrom")},
	{"A4", "informational answers pass and decide nothing", tests("test/protocol TestRows; caddymodule TestContractA4Informational")},
	{"A5", "headers survive a 103", tests("test/protocol TestRows; caddymodule TestContractA5HeadersSurvive")},
	{"A6", "Link is filtered, in a 103 too", tests("test/protocol TestRows; rewriter TestFilterLinkA6")},
	{"A7", "HTTP/1.0 gets no 103", tests("test/protocol TestRows")},
	{"A8", "a site that breaks off in the middle: no tail, no end", tests("test/protocol TestRows TestNasty TestFastCGIDies; test/faults TestCombinations; caddymodule TestContractA8BrokenSite TestRecodeBrokenOff")},
	{"A9", "less than was announced is not complete", tests("test/protocol TestRows TestNasty; test/faults TestCombinations; caddymodule TestContractA9Short")},
	{"A10", "an end of input that cuts a tag lets nothing live out", tests("test/protocol TestRows; test/faults TestEveryCut; caddymodule TestContractA10CutTag; rewriter FuzzEnd")},
	{"A11", "error pages are filtered, or Caddy warns", tests("test/protocol TestRows; caddymodule TestContractA11ErrorRoutes TestWarnings")},
	{"A12", "HEAD has the headers of GET", tests("test/protocol TestRows TestHeaderDiff; caddymodule TestContractA12Head TestRecode")},
	{"A13", "answers without a body get none", tests("test/protocol TestRows; caddymodule TestContractA13NoBody")},
	{"A14", "the length goes with the bytes", tests("test/protocol TestRows; caddymodule TestContractA14Length")},
	{"A15", "pages are not served in slices", tests("test/protocol TestRows; caddymodule TestContractA15Range")},
	{"A16", "trailers pass, without digests and cookies", tests("test/protocol TestRows; caddymodule TestContractA16Trailers; rewriter TestDropDigestsB12")},
	{"A17", "the site is asked for codings that can be undone", tests("test/protocol TestRows; caddymodule TestContractA17AcceptEncoding; rewriter TestNarrowAcceptEncodingA17")},
	{"A18", "whatever the coding and its state: rewritten, or the failure policy", tests("test/protocol TestRows; test/faults TestCombinations; test/e2e TestEncodingsA18; caddymodule TestContractA18Codings TestContractA18Unreadable; rewriter TestDecoderA18 FuzzDecoder")},
	{"A19", "encode stands outside without an order line", tests("test/protocol TestRows; caddymodule TestContractA19Order TestWarnings TestRecode")},
	{"A20", "what is decided leaves at once", tests("test/protocol TestRows; caddymodule TestContractA20NoDelay TestRecodeNoDelay; rewriter TestDecoderA20 FuzzProgress")},
	{"A21", "a flush may come from a timer", tests("test/protocol TestRows; caddymodule TestContractA21TimerFlush")},
	{"A22", "a visitor who leaves takes everything along", tests("test/protocol TestRows; test/faults TestDisconnects; caddymodule TestContractA22Disconnect")},
	{"A23", "the same over HTTP/1.1, 2 and 3", tests("test/protocol TestRows TestHeaderDiff; caddymodule TestContractA23HTTP2")},
	{"A24", "no-transform does not protect a page unless the operator says so", tests("test/protocol TestRows; caddymodule TestContractA24NoTransform")},
	{"A25", "what is no page is not looked into", tests("test/protocol TestRows TestHeaderDiff; caddymodule TestContractA25Types")},

	{"B1", "validators name the variant", tests("test/caches TestRowsB1Variant TestCrossStatePrivate; caddymodule TestContractB1Variants; rewriter TestVariantETagB1")},
	{"B2", "lists, weak tags, *, several lines", tests("test/caches TestRowsB2Lists; rewriter TestOriginETagsB2 TestRevalidationB2")},
	{"B3", "dates do not revalidate across variants", tests("test/caches TestRowsB3Date; rewriter TestOriginETagsDate TestVariantETagB1")},
	{"B4", "a 304 has the headers of the requesting state", tests("test/caches TestRowsB4Fields TestRowsB4Shield; caddymodule TestContractB1Variants")},
	{"B5", "shared caches keep no page of one visitor's", tests("test/caches TestRowsB5Private TestCrossStatePrivate TestSharedCrossState; caddymodule TestContractB5Shared TestCacheShared TestCacheByHeaders; rewriter TestPrivateCacheB5")},
	{"B6", "the gateway's own answers are never stored", tests("test/caches TestRowsB6Own")},
	{"B7", "caches before and below the gateway", tests("test/caches TestRowsB7Below TestCrossStatePrivate TestSharedCrossState TestHitRateBelow TestHitRateBefore")},
	{"B8", "what is no page keeps its headers", tests("test/caches TestRowsB8Files; test/protocol TestHeaderDiff; caddymodule TestContractB8Untouched")},
	{"B9", "Age, Date, Via and Warning pass", tests("test/caches TestRowsB9Passes; test/protocol TestHeaderDiff")},
	{"B10", "after a withdrawal a reload brings the new page", tests("test/caches TestRowsB10Reload; test/e2e TestExampleSite")},
	{"B11", "no nonce of ours is ever cached", tests("test/caches TestRowsB11Nonce")},
	{"B12", "digests and signatures of other bytes go", tests("test/caches TestRowsB12Digests; rewriter TestDropDigestsB12")},

	{"D1", "the character set is found once, and stated", tests("caddymodule TestContractD1Charset; rewriter TestCharsetD1 TestCharsetMoreD1 FuzzCharsetMore")},
	{"D2", "Content-Type is read as browsers read it", tests("rewriter TestHeaderCharsetD2 TestPinCharset FuzzPinCharset")},
	{"D3", "UTF-16 is turned into UTF-8", tests("caddymodule TestTranscoded; rewriter TestTranscoder TestTranscoderHostile; test/e2e TestDifferential")},
	{"D4", "ISO-2022-JP is turned into UTF-8", tests("caddymodule TestTranscoded TestContractD1Charset; rewriter TestTranscoder TestTranscoderHostile; test/e2e TestDifferential")},
	{"D5", "replacement encodings have no markup", tests("rewriter TestTranscoderHostile TestCharsetD6")},
	{"D6", "no byte of a character is markup in 36 encodings", tests("rewriter TestCharsetD6 TestCharsetD6Pages")},
	{"D7", "types that browsers guess are guessed alike", tests("caddymodule TestContractD7NoPage TestContractA25Types; rewriter TestSniffD7")},
	{"D8", "bytes outside edits stay", tests("rewriter FuzzIdentity FuzzLocality TestInert")},

	{"E1", "bombs end by policy, in little memory", tests("caddymodule TestLimitE1Bombs TestLimitOptions; rewriter TestDecoderE1 TestDecoderStackedBomb TestDecoderZstdWindow TestDecoderMaxOutput")},
	{"E2", "decoders are given back on every path", tests("caddymodule TestContractE2DecodersReturned; test/faults TestCombinations; rewriter TestDecoderAbort TestDecoderPanic TestDecoderDestinationError TestDecoderZstdReuse")},
	{"E3", "no decoder loops for ever", tests("rewriter FuzzDecoder TestDecoderManyMembers")},
	{"E4", "huge tags, attributes, comments and scripts", tests("caddymodule TestLimitE4HugeParts; rewriter TestLimits")},
	{"E5", "many attributes and candidates cost linear time", tests("rewriter TestLinear FuzzLinear; caddymodule TestLimitE4HugeParts")},
	{"E6", "slow sites and visitors", tests("test/faults TestCombinations; caddymodule TestContractA20NoDelay TestRecodeNoDelay")},
	{"E7", "a budget for the memory of all pages", tests("caddymodule TestBudget TestLimitE7Stalled")},
	{"E8", "three failure policies", tests("caddymodule TestContractA18Unreadable TestBudget TestObserveWarns TestLimitE1Bombs")},
	{"E9", "a fault of our own lets nothing out", tests("caddymodule TestLimitE9Panic TestPanicInside; rewriter TestErrorsStick")},
	{"E10", "nonsense in the options is refused, with the range", tests("caddymodule TestAdapt TestFailedReload TestLimitOptions TestLimitCookies")},

	{"F1", "Go's cookie parser drops and rewrites pairs: the site gets the survivors' bytes in order", tests("test/cookies TestCookieF1; test/e2e TestCookieChromiumF1; rewriter TestFilterCookieF1 FuzzFilterCookie; caddymodule TestRequestCookies")},
	{"F2", "with more than 3000 pairs the header goes, never on unread", tests("test/cookies TestCookieF1; rewriter TestFilterCookieF2")},
	{"F3", "cookies without a name are held", tests("test/cookies TestSetCookieF4 TestCookieF1; test/e2e TestSetCookieChromium; rewriter TestFilterSetCookieF3; policy TestNameless")},
	{"F4", "a line is judged by the name under which Chromium stores its cookie", tests("test/e2e TestSetCookieChromium; test/cookies TestSetCookieNames TestSetCookieF4; rewriter TestFilterSetCookieF4 TestDeletions TestDeletionDate TestCookieDate")},
	{"F5", "every line of the field, under any spelling, in order", tests("test/cookies TestSetCookieF6; rewriter TestFilterSetCookieF5 FuzzFilterSetCookie")},
	{"F6", "every status and type, subresources, 1xx", tests("test/cookies TestSetCookieF6 TestSetCookieInformational; test/e2e TestCookiesChromiumF6; caddymodule TestContractA4Informational")},
	{"F7", "a planted or doubled choice counts for none, and is counted", tests("caddymodule TestCookieProblems; test/cookies TestOwnCookieF7; consent TestResolveHostile")},
	{"F8", "the prefix on HTTPS, browsers' rules for prefixes, none on plain HTTP", tests("test/cookies TestOwnCookieF9 TestOwnCookieF7; test/e2e TestSetCookieChromium TestSecureSite; consent/api TestDeletionsGolden")},
	{"F9", "at most 400 days, Lax, Path=/, no Domain", tests("test/cookies TestOwnCookieF9; consent TestSetCookieGolden TestValidate")},
	{"F10", "a withdrawal removes vendors' cookies wherever they were stored", tests("test/e2e TestDeletionChromiumF10; consent/api TestDeletionsGolden")},
	{"F11", "no bytes of the visitor's make a header", tests("test/cookies TestOwnCookieF11; consent TestValueIsCookieOctets; consent/api TestDeletionNames TestRedirect")},
	{"F12", "an answer with deletions stays below 4 KiB of header", tests("test/cookies TestOwnCookieF12; consent/api TestDeletionsBudget")},
	{"F13", "the site neither sets nor reads our cookie", tests("test/cookies TestSetCookieF4 TestCookieF1; test/e2e TestSetCookieChromium; rewriter TestFilterSetCookieF13")},
	{"F14", "several lines, folded lines and crumbs become one line", tests("test/cookies TestCookieF14 TestCookieF1; test/e2e TestCookieChromiumF1")},
	{"F15", "quotes and $Version protect nothing", tests("test/cookies TestCookieF1 TestCookieF14")},

	{"I1", "metrics live through reloads, and are shared", tests("caddymodule TestReload TestMetricsShared")},
	{"I2", "no label comes from a request", tests("caddymodule TestInsideI2Series TestNothingPersonal")},
	{"I3", "reloads cut nothing", tests("test/faults TestReloads; caddymodule TestReload")},
	{"I4", "a configuration that fails halfway leaves the running one alone", tests("caddymodule TestFailedReload")},
	{"I5", "the log tells which policy was read", tests("caddymodule TestInsideI5PolicyLogged TestPolicyFile")},
	{"I6", "one place in the order of directives", tests("caddymodule TestAdapt TestContractA19Order")},
	{"I7", "every option and every error of the Caddyfile", tests("caddymodule TestAdapt TestJSONRoundTrip")},
	{"I8", "what Caddy expects of a module is asserted when it is built", tests("caddymodule TestJSONRoundTrip")},
	{"I9", "nothing of a request is a template", tests("caddymodule TestInsideI9NoTemplates")},
	{"I12", "what reaches past the handler is named at load", tests("caddymodule TestWarnings")},
}

// absent are the rows of things the gateway does not have yet, or that no test of
// its own can show.
var absent = map[string]string{
	"I10": "which versions of Caddy are tried is a matter of when the tests are run",
	"I11": "there are no admin endpoints yet",
	"I13": "there is no ledger yet",
}

// tests reads "package Test Test; package Test".
func tests(list string) (names []string) {
	for part := range strings.SplitSeq(list, "; ") {
		pkg, rest, _ := strings.Cut(part, " ")
		for name := range strings.FieldsSeq(rest) {
			names = append(names, pkg+" "+name)
		}
	}
	return names
}

// TestContract ties every row to tests that exist.
func TestContract(t *testing.T) {
	exist := make(map[string]map[string]bool) // by package
	seen := make(map[string]bool)
	for _, row := range contract {
		if seen[row.id] || absent[row.id] != "" {
			t.Errorf("%s stands twice", row.id)
		}
		seen[row.id] = true
		if len(row.tests) == 0 || row.what == "" {
			t.Errorf("%s has no test or says nothing", row.id)
		}
		for _, name := range row.tests {
			pkg, test, _ := strings.Cut(name, " ")
			if exist[pkg] == nil {
				exist[pkg] = testsOf(t, pkg)
			}
			if !exist[pkg][test] {
				t.Errorf("%s: there is no %s in %s", row.id, test, pkg)
			}
		}
	}
	for letter, n := range map[string]int{"A": 25, "B": 12, "D": 8, "E": 10, "F": 15, "I": 13} {
		for i := range n {
			if id := fmt.Sprintf("%s%d", letter, i+1); !seen[id] && absent[id] == "" {
				t.Errorf("no row %s", id)
			}
		}
	}
	t.Logf("%d rows, %d absent", len(contract), len(absent))
}

// TestContractComplete compares the rows with the list they were taken from.
func TestContractComplete(t *testing.T) {
	text, err := os.ReadFile("../../shared/design/pitfalls.md")
	if err != nil {
		t.Skip("the list is not there: ", err)
	}
	listed := regexp.MustCompile(`(?m)^\| ([ABDEFI]\d+) \|`).FindAllStringSubmatch(string(text), -1)
	if len(listed) == 0 {
		t.Fatal("no rows: the list has another form")
	}
	for _, row := range listed {
		if absent[row[1]] == "" && !slices.ContainsFunc(contract, func(r struct {
			id, what string
			tests    []string
		}) bool {
			return r.id == row[1]
		}) {
			t.Errorf("row %s is missing", row[1])
		}
	}
}

// testsOf returns the names of a package's tests and fuzz targets.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), "*_test.go"))
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
