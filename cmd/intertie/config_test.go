package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/app"
)

// parse reads a command line as the program does, with what a test says of the
// environment and nothing else.
func parse(t *testing.T, args ...string) (*cli, *kong.Context, error) {
	t.Helper()
	c := new(cli)
	parser, err := newParser(c, streams{io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := parser.Parse(args)
	return c, ctx, err
}

func clearEnv(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "INTERTIE_") {
			t.Setenv(name, "") // restores it at the end
			os.Unsetenv(name)
		}
	}
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "intertie.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	file := "listen: 1.1.1.1:1\nreplicas: 3\nregions: [one, two]\nbind:\n  /a: file:///a\n"
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want func(*app.Options)
	}{
		{
			name: "file over default",
			want: func(o *app.Options) {},
		},
		{
			name: "environment over file",
			env:  map[string]string{"INTERTIE_LISTEN": "2.2.2.2:2", "INTERTIE_REGIONS": "three", "INTERTIE_BIND": "/b=file:///b=c\n/c=file:///c"},
			want: func(o *app.Options) {
				o.Listen, o.Regions = "2.2.2.2:2", []string{"three"}
				o.Bind = map[string]string{"/b": "file:///b=c", "/c": "file:///c"}
			},
		},
		{
			name: "flag over both",
			env:  map[string]string{"INTERTIE_LISTEN": "2.2.2.2:2", "INTERTIE_BIND": "/b=file:///b"},
			args: []string{"--listen=3.3.3.3:3", "--bind=/d=a;b,c=d", "--bind", "/e=f"},
			want: func(o *app.Options) {
				o.Listen, o.Bind = "3.3.3.3:3", map[string]string{"/d": "a;b,c=d", "/e": "f"}
			},
		},
		{
			name: "flag over file",
			args: []string{"--replicas=1", "--regions=four,five"},
			want: func(o *app.Options) { o.Replicas, o.Regions = 1, []string{"four", "five"} },
		},
	}
	for _, how := range []string{"flag", "environment"} {
		for _, tt := range tests {
			t.Run("config by "+how+"/"+tt.name, func(t *testing.T) {
				clearEnv(t)
				for name, value := range tt.env {
					t.Setenv(name, value)
				}
				args := append([]string{"serve"}, tt.args...)
				if path := writeConfig(t, file); how == "flag" {
					args = append(args, "--config", path)
				} else {
					t.Setenv("INTERTIE_CONFIG", path)
				}
				c, _, err := parse(t, args...)
				if err != nil {
					t.Fatal(err)
				}
				want := app.DefaultOptions()
				want.Listen, want.Replicas, want.Regions = "1.1.1.1:1", 3, []string{"one", "two"}
				want.Bind = map[string]string{"/a": "file:///a"}
				tt.want(&want)
				got := c.Serve.options()
				for _, f := range []struct {
					name      string
					got, want any
				}{
					{"listen", got.Listen, want.Listen},
					{"replicas", got.Replicas, want.Replicas},
					{"regions", got.Regions, want.Regions},
					{"bind", got.Bind, want.Bind},
					{"data", got.Data, want.Data},
				} {
					if diff := cmp.Diff(f.want, f.got); diff != "" {
						t.Errorf("%s: %s", f.name, diff)
					}
				}
			})
		}
	}
}

// Every option of the server can be set from the file, by the environment and
// by a flag of the same name.
func TestEveryOptionHasAFlag(t *testing.T) {
	clearEnv(t)
	_, ctx, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	for _, f := range ctx.Selected().Flags {
		if f.Name == "help" {
			continue
		}
		env := "INTERTIE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if diff := cmp.Diff([]string{env}, f.Envs); diff != "" {
			t.Errorf("--%s: %s", f.Name, diff)
		}
		switch {
		case f.Name == "config" || f.Enum != "":
		case f.Target.Type() == reflect.TypeFor[limits]():
			file.WriteString(f.Name + ": {topicsPerSubscription: 17}\n")
		case f.Target.Kind() == reflect.Map:
			file.WriteString(f.Name + ": {/some: thing}\n")
		case f.Target.Kind() == reflect.Bool:
			file.WriteString(f.Name + ": true\n")
		case f.Target.Type() == reflect.TypeFor[time.Duration](), f.Target.Type() == reflect.TypeFor[durations]():
			file.WriteString(f.Name + ": 17s\n")
		default:
			file.WriteString(f.Name + ": 17\n")
		}
	}
	c, _, err := parse(t, "serve", "--config", writeConfig(t, file.String()))
	if err != nil {
		t.Fatal(err)
	}
	got, defaults := reflect.ValueOf(c.Serve.options()), reflect.ValueOf(app.DefaultOptions())
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		if name != "Logger" && got.Type().Field(i).IsExported() &&
			reflect.DeepEqual(got.Field(i).Interface(), defaults.Field(i).Interface()) {
			t.Errorf("no flag sets %s", name)
		}
	}
}

func TestConfigFileIsStrict(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "listen: a\nport: 1\n", `line 2: unknown key "port"`},
		{"near miss", "listenHttp: a\n", `line 1: unknown key "listenHttp" (did you mean "listen-http"?)`},
		{"config in config", "config: x\n", `line 1: unknown key "config"`},
		{"twice", "data: a\n\ndata: b\n", `line 3: key "data" is there twice`},
		{"number", "\nreplicas: many\n", `line 2: replicas: expected a valid`},
		{"bool", "allow-private-webhooks: perhaps\n", `line 1: allow-private-webhooks: `},
		{"enum", "log-level: loud\n", `line 1: log-level: "loud" is none of debug, info, warn, error`},
		{"list for a value", "data: [a]\n", "line 1: data: takes one value, not a list"},
		{"mapping for a value", "data: {a: b}\n", "line 1: data: takes no mapping"},
		{"mapping for a list", "regions: {a: b}\n", "line 1: regions: takes no mapping"},
		{"list for a mapping", "bind: [a]\n", "line 1: bind: takes one value, not a list"},
		{"bad binding", "bind: nothing\n", `line 1: bind: "nothing" is not RESOURCEID=URL`},
		{"limit without a name", "limit: 17\n", `line 1: limit: "17" is not NAME=N`},
		{"unknown limit", "data: a\nlimit: {topics: 17}\n", `line 2: limit: there is no limit "topics"; the limits are topicsPerSubscription, `},
		{"limit of nothing", "limit: {topicsPerDomain: 0}\n", "line 1: limit: topicsPerDomain is 0: it must be between 1 and 10000000"},
		{"limit in words", "limit: {topicsPerDomain: many}\n", `line 1: limit: topicsPerDomain: "many" is not a whole number`},
		{"nested", "regions: [[a]]\n", "line 1: regions: holds something that is not a plain value"},
		{"no value", "data:\n", "line 1: data: has no value"},
		{"no mapping", "- data\n", "line 1: not a list of settings"},
		{"two documents", "data: a\n---\ndata: b\n", "holds more than one document"},
		{"no YAML", "a: b: c\n", "mapping values are not allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clearEnv(t)
			path := writeConfig(t, tt.text)
			_, _, err := parse(t, "serve", "--config", path)
			if err == nil || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		clearEnv(t)
		if _, _, err := parse(t, "serve", "--config", "nowhere.yaml"); err == nil || !strings.Contains(err.Error(), "nowhere.yaml") {
			t.Errorf("error %v", err)
		}
	})
	for name, text := range map[string]string{"empty": "", "comment": "# nothing\n", "null": "~\n", "value as list": "regions: a,b\n"} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			if _, _, err := parse(t, "serve", "--config", writeConfig(t, text)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("only serve reads it", func(t *testing.T) {
		clearEnv(t)
		t.Setenv("INTERTIE_CONFIG", "nowhere.yaml")
		if _, _, err := parse(t, "version"); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	parser, err := newParser(new(cli), streams{io.Discard, io.Discard})
	if err != nil {
		f.Fatal(err)
	}
	var flags []*kong.Flag
	for _, node := range parser.Model.Children {
		if node.Name == "serve" {
			flags = node.Flags
		}
	}
	f.Add([]byte("listen: a\nregions: [b, c]\nbind: {d: e}\n"))
	f.Add([]byte("data: &x y\nlisten: *x\n<<: {a: b}\n---\n? [a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseConfig(text, flags)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("more than one line: %q", err)
			}
			return
		}
		for name := range s {
			if name == "config" || name == "help" {
				t.Fatalf("%s was taken", name)
			}
		}
	})
}
