package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// azLimit bounds one command, which takes about a second of a processor.
const azLimit = 60 * time.Second

// azSlots bounds how many az run at a time: most of what they cost is Python
// starting, and other tests measure time beside them.
var azSlots = make(chan struct{}, 2)

// azCLI is a profile of the Azure CLI that is signed in to a server. The CLI is
// Debian's, whose Event Grid commands need the repair in testdata/az.
type azCLI struct {
	server *server
	home   string
	// vars are the values of what stands in braces in commands.
	vars map[string]string
}

// azStep is a command and what must come of it.
type azStep struct {
	// command is what follows az, split at spaces. What stands in braces is
	// replaced afterwards, so values may hold spaces.
	command string
	// want are values in the output, by path: names and list indexes with dots
	// between, # for the length of a list. Without any, there must be no output.
	want map[string]any
	// save are variables to take from the output.
	save map[string]string
	// refused is part of what an error says; without it there must be none.
	refused string
	// then runs after the command.
	then func(t *testing.T, z *azCLI)
}

// azSignIn does what `intertie env` prints, in a home of its own.
func azSignIn(t *testing.T, s *server) *azCLI {
	t.Helper()
	if _, err := exec.LookPath("az"); err != nil {
		needed(t, "az, the Azure CLI,")
	}
	z := &azCLI{server: s, home: t.TempDir(), vars: map[string]string{
		"tenant": s.tenant(t), "subscription": s.admin(t).Subscription, "admin": s.admin(t).ClientID,
	}}
	if said, err := z.execute(t, "sh", "-ec", `eval "$("$0" env --data "$1")"`, binary, s.dir); err != nil {
		t.Fatalf("signing az in: %v\n%s", err, said.err.String())
	}
	return z
}

// as is another profile of the same cloud, in which someone else signs in.
func (z *azCLI) as(t *testing.T, id, secret string) *azCLI {
	t.Helper()
	other := z.fork()
	other.home = t.TempDir()
	if err := os.CopyFS(other.profile(), os.DirFS(z.profile())); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"msal_http_cache.bin", "msal_token_cache.json", "service_principal_entries.json", "azureProfile.json"} {
		if err := os.RemoveAll(filepath.Join(other.profile(), name)); err != nil {
			t.Fatal(err)
		}
	}
	other.vars["id"], other.vars["secret"] = id, secret
	other.do(t, azStep{command: "login --service-principal -u {id} -p {secret} --tenant {tenant}", want: map[string]any{"0.user.name": "{id}"}})
	return other
}

// fork returns the same profile with variables of its own, for commands beside
// others.
func (z *azCLI) fork() *azCLI {
	return &azCLI{server: z.server, home: z.home, vars: maps.Clone(z.vars)}
}

// profile is where `intertie env` puts it.
func (z *azCLI) profile() string { return filepath.Join(z.home, ".azure-intertie") }

type azOutput struct{ out, err bytes.Buffer }

// execute runs a program in the environment of the profile.
func (z *azCLI) execute(t *testing.T, name string, args ...string) (*azOutput, error) {
	t.Helper()
	select {
	case azSlots <- struct{}{}:
		defer func() { <-azSlots }()
	case <-t.Context().Done():
		t.Fatal("the test ended")
	}
	repair, err := filepath.Abs(filepath.Join("testdata", "az"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), azLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AZURE_") && !strings.HasPrefix(v, "INTERTIE_") && !strings.HasPrefix(v, "PYTHON") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+z.home, "AZURE_CONFIG_DIR="+z.profile(), "AZURE_CORE_COLLECT_TELEMETRY=0",
		"REQUESTS_CA_BUNDLE="+filepath.Join(z.server.dir, "ca.pem"), "PYTHONPATH="+repair, "PYTHONDONTWRITEBYTECODE=1")
	var said azOutput
	cmd.Stdout, cmd.Stderr = &said.out, &said.err
	err = cmd.Run()
	return &said, err
}

// do runs steps one after the other. Each builds on those before, so the first
// that fails ends the test.
func (z *azCLI) do(t *testing.T, steps ...azStep) {
	t.Helper()
	for _, step := range steps {
		args := strings.Fields(step.command)
		for i := range args {
			args[i] = z.expand(args[i])
		}
		said, err := z.execute(t, "az", append(args, "--output", "json")...)
		if step.refused != "" {
			if text := said.err.String(); err == nil || !strings.Contains(text, z.expand(step.refused)) {
				t.Fatalf("az %s: want %q, got %v\n%s%s", step.command, step.refused, err, said.out.String(), text)
			}
			continue
		}
		if err != nil {
			t.Fatalf("az %s: %v\n%s", step.command, err, said.err.String())
		}
		z.check(t, step, said.out.Bytes())
		if step.then != nil {
			step.then(t, z)
		}
	}
}

func (z *azCLI) check(t *testing.T, step azStep, out []byte) {
	t.Helper()
	if len(step.want)+len(step.save) == 0 {
		if len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("az %s: there is output: %s", step.command, out)
		}
		return
	}
	var got any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("az %s: %v\n%s", step.command, err, out)
	}
	for path, want := range step.want {
		value, ok := at(got, z.expand(path))
		if want := z.expand(fmt.Sprint(want)); !ok || fmt.Sprint(value) != want {
			t.Errorf("az %s: %s is %v (%v), want %s\n%s", step.command, path, value, ok, want, out)
		}
	}
	for name, path := range step.save {
		value, ok := at(got, path)
		text, isText := value.(string)
		if !ok || !isText || text == "" {
			t.Fatalf("az %s: no text %s in %s", step.command, path, out)
		}
		z.vars[name] = text
	}
}

func (z *azCLI) expand(text string) string {
	pairs := make([]string, 0, 2*len(z.vars))
	for name, value := range z.vars {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// at returns what is at a path; the empty path is the whole.
func at(v any, path string) (any, bool) {
	for path != "" {
		var step string
		step, path, _ = strings.Cut(path, ".")
		switch in := v.(type) {
		case map[string]any:
			inner, ok := in[step]
			if !ok {
				return nil, false
			}
			v = inner
		case []any:
			if step == "#" {
				return len(in), path == ""
			}
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}
