package rewriter

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/consentgate/consentgate/test/cases"
)

// TestRevision holds the output of the hostile and inert documents against a
// digest. When it fails because the output is meant to change, count Revision up
// and write down the new digest; when only cases were added, only the digest.
func TestRevision(t *testing.T) {
	const revision, digest = "2", "8f34a51bac0078e7"
	h := sha256.New()
	for _, docs := range [][]cases.Case{hostileCases, inertCases} {
		for _, c := range docs {
			out, _ := rewrite(t, c.Document(""), 0, testPage(denied()))
			fmt.Fprintf(h, "%d:%s", len(out), out)
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil))[:16]; got != digest || Revision != revision {
		t.Errorf("output digest %s, revision %s; the test knows %s, %s", got, Revision, digest, revision)
	}
}
