package rewriter

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

// TestRevision holds the output of the hostile and inert documents against a
// digest. When it fails because the output is meant to change, count Revision up
// and write down the new digest; when only cases were added, only the digest.
func TestRevision(t *testing.T) {
	const revision, digest = "2", "3e9e8e70d8957c36"
	h := sha256.New()
	for _, docs := range [][]string{hostile, inertDocs} {
		for _, in := range docs {
			out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
			fmt.Fprintf(h, "%d:%s", len(out), out)
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil))[:16]; got != digest || Revision != revision {
		t.Errorf("output digest %s, revision %s; the test knows %s, %s", got, Revision, digest, revision)
	}
}
