package caches

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// The configurations in docs/caches.md are ones that nginx and Varnish take.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/caches.md")
	if err != nil {
		t.Fatal(err)
	}
	nginx, varnishd := find(t, "nginx", "nginx-light"), find(t, "varnishd", "varnish")
	n := map[string]int{}
	for i, block := range strings.Split(string(text), "```") {
		lang, body, _ := strings.Cut(block, "\n")
		dir := t.TempDir()
		var cmd *exec.Cmd
		switch {
		case i%2 == 0:
			continue
		case lang == "nginx":
			body = strings.ReplaceAll(body, "/var/cache/nginx", dir)
			config := fmt.Sprintf("pid %[1]s/pid;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path %[1]s/b;\nproxy_temp_path %[1]s/p;\nfastcgi_temp_path %[1]s/f;\nuwsgi_temp_path %[1]s/u;\nscgi_temp_path %[1]s/s;\n%[2]s}\n", dir, body)
			config = strings.ReplaceAll(config, "listen 80;", "listen "+gate.FreeAddr(t)+";")
			cmd = exec.Command(nginx, "-t", "-p", dir, "-e", "stderr", "-c", write(t, dir, "nginx.conf", config))
		case lang == "vcl":
			cmd = exec.Command(varnishd, "-C", "-j", "none", "-n", filepath.Join(dir, "n"), "-f", write(t, dir, "site.vcl", body))
		default:
			continue
		}
		n[lang]++
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%.600s", lang, err, body, out)
		}
	}
	if n["nginx"] != 2 || n["vcl"] != 1 {
		t.Errorf("found %v: the document has changed its form", n)
	}
}
