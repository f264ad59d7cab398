package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the outcome of the adapt and trace tests into testdata")

// TestAdapt compares what Caddyfiles become. A file holds a Caddyfile, a line of
// dashes, and the JSON or the error; -update writes the latter.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".caddyfiletest"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source, want, ok := strings.Cut(string(data), "\n----------\n")
			if !ok {
				t.Fatal("no line of dashes")
			}
			got := adapted(t, source+"\n")
			if *update {
				if err := os.WriteFile(name, []byte(source+"\n----------\n"+got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != strings.TrimSuffix(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if isError := strings.HasPrefix(filepath.Base(name), "error_"); isError == json.Valid([]byte(got)) {
				t.Errorf("error or not? %s", got)
			}
			// Whoever wrote it must find the line.
			if strings.HasPrefix(filepath.Base(name), "error_") && !strings.Contains(got, "Caddyfile:") {
				t.Errorf("no place: %s", got)
			}
		})
	}
}

func adapted(t *testing.T, source string) string {
	t.Helper()
	config, err := adapt(source)
	if err != nil {
		return err.Error()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The JSON of a directive loads again to the same options, and nothing that is
// only used at run time appears in it.
func TestJSONRoundTrip(t *testing.T) {
	want := Handler{Policy: "p", Prefix: "/a/", Cache: "shared", FailurePolicy: "strict", MaxHold: 1, MaxInline: 2,
		MaxMemory: 3, MaxDecoded: 4, MaxRatio: 5, MaxWindow: 6, MaxCookies: 7, CookieName: "n", HonorNoTransform: true}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Handler
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v, %v", data, got, err)
	}
	if n := strings.Count(string(data), `":`); n != 13 {
		t.Errorf("%d fields in %s", n, data)
	}
}
