package cases

import (
	"bytes"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		doc := c.Document("")
		if !c.Live && (c.Idle != "" || c.Costs != "" || c.Blind) {
			t.Errorf("%s.txt:%d: an inert case has a key that only live ones may have", c.File, c.Line)
		}
		if c.Live && c.Over != "" {
			t.Errorf("%s.txt:%d: a live case has a key that only inert ones may have", c.File, c.Line)
		}
		// Unless a request of it tells which case it is of, nobody would miss it.
		if node := c.Document("a7."); c.Live && c.Idle == "" && bytes.Equal(doc, node) {
			t.Errorf("%s.txt:%d: no host that can be told apart", c.File, c.Line)
		}
		if bytes.Contains(doc, []byte("\n=== ")) {
			t.Errorf("%s.txt:%d: a heading inside a document", c.File, c.Line)
		}
	}
	if len(all) < 300 {
		t.Errorf("%d cases, want 300", len(all))
	}
}

func TestParse(t *testing.T) {
	got, err := parse("live", "# comment\n=== one | blind | wait=2s | charset=gbk\na\n§xFFb\n\n=== two\n§b64[§Nc§]§r3[ab§]")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %+v", err, got)
	}
	if c := got[0]; c.Name != "one" || !c.Live || !c.Blind || c.Wait.Seconds() != 2 || c.Charset != "gbk" || c.Line != 2 || string(c.Document("x.")) != "a\n\xffb\n" {
		t.Errorf("%+v", c)
	}
	if c := got[1]; c.Line != 6 || string(c.Document("x.")) != "eC5jababab" {
		t.Errorf("%+v %q", c, c.Document("x."))
	}
	for text, want := range map[string]string{
		"=== a | foo\n": "unknown key", "=== a | idle\n": "says nothing", "=== a | over=\n": "says nothing", "=== a\n§xZZ": "byte", "=== a\n§q": "unknown word",
		"=== a\n§b64[x": "without", "=== a\n§rx[y§]": "without", "=== a | wait=soon\n": "wait",
	} {
		if _, err := parse("live", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
