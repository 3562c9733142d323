package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// configFile is the --config flag of serve. A flag on the command line wins
// over the environment, which wins over the file.
type configFile string

// BeforeResolve reads the file once the command line is known; kong calls it.
func (configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(configFile)
	command := ctx.Selected()
	if path == "" || command == nil || command.Name != "serve" {
		return nil
	}
	text, err := os.ReadFile(string(path))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	settings, err := parseConfig(text, command.Flags)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	ctx.AddResolver(settings)
	return nil
}

// settings are the values of a configuration file by flag name: a string, a
// []any of strings or a map[string]any of strings.
type settings map[string]any

// Validate has nothing to add to parseConfig; kong asks for it.
func (settings) Validate(*kong.Application) error { return nil }

// Resolve gives the file's value for a flag that is neither on the command
// line (kong sees to that) nor in the environment.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Tag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return s[flag.Name], nil
}

// parseConfig reads a YAML mapping whose keys are the names of flags. A key
// that is no flag, is there twice or has a value the flag does not take is an
// error that names the key and its line.
func parseConfig(text []byte, flags []*kong.Flag) (settings, error) {
	known := map[string]*kong.Flag{}
	for _, f := range flags {
		if f.Name != "config" && f.Name != "help" {
			known[f.Name] = f
		}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, oneLine(err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, oneLine(err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return settings{}, nil // empty, or comments only
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("holds more than one document")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: not a list of settings like \"listen: 127.0.0.1:8443\"", root.Line)
	}
	s := settings{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		flag := known[key.Value]
		if flag == nil {
			return nil, fmt.Errorf("line %d: unknown key %q%s", key.Line, key.Value, didYouMean(key.Value, known))
		}
		if _, twice := s[key.Value]; twice {
			return nil, fmt.Errorf("line %d: key %q is there twice", key.Line, key.Value)
		}
		value, err := settingOf(node)
		if err == nil {
			err = accepts(flag, value)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", node.Line, key.Value, err)
		}
		s[key.Value] = value
	}
	return s, nil
}

func settingOf(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if isNull(n) {
			return nil, errors.New("has no value")
		}
		return n.Value, nil
	case yaml.SequenceNode:
		values := []any{}
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, errors.New("holds something that is not a plain value")
			}
			values = append(values, item.Value)
		}
		return values, nil
	case yaml.MappingNode:
		values := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i+1].Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("%s is not a plain value", n.Content[i].Value)
			}
			if _, twice := values[n.Content[i].Value]; twice {
				return nil, fmt.Errorf("%s is there twice", n.Content[i].Value)
			}
			values[n.Content[i].Value] = n.Content[i+1].Value
		}
		return values, nil
	}
	return nil, errors.New("is not a value, a list or a mapping")
}

// accepts tries a value on a flag, aside from the flag's real target.
func accepts(flag *kong.Flag, value any) error {
	target := reflect.New(flag.Target.Type()).Elem()
	switch value.(type) {
	case []any:
		if target.Kind() != reflect.Slice {
			return errors.New("takes one value, not a list")
		}
	case map[string]any:
		if target.Kind() != reflect.Map {
			return errors.New("takes no mapping")
		}
	}
	err := flag.Mapper.Decode(&kong.DecodeContext{
		Value: flag.Value,
		Scan:  kong.Scan().PushTyped(value, kong.FlagValueToken),
	}, target)
	if err != nil {
		return oneLine(err)
	}
	if flag.Enum != "" && !flag.EnumMap()[fmt.Sprint(target)] {
		return fmt.Errorf("%q is none of %s", value, strings.Join(flag.EnumSlice(), ", "))
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// didYouMean finds a key that differs only in hyphens, underscores and case,
// which is the usual slip (listenHttp for listen-http).
func didYouMean(key string, known map[string]*kong.Flag) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if plain(name) == plain(key) {
			return fmt.Sprintf(" (did you mean %q?)", name)
		}
	}
	return ""
}

func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// bindings map ARM ids to the addresses of real resources. As text they are
// ID=URL, one to a line: neither ids nor URLs hold line breaks, while commas
// and semicolons are common in connection strings.
type bindings map[string]string

// Decode reads one flag, the environment variable, or the file's mapping.
func (b *bindings) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	if *b == nil {
		*b = bindings{}
	}
	switch v := token.Value.(type) {
	case string:
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			id, address, ok := strings.Cut(line, "=")
			if !ok || id == "" || address == "" {
				return fmt.Errorf("%q is not RESOURCEID=URL", line)
			}
			(*b)[strings.TrimSpace(id)] = strings.TrimSpace(address)
		}
	case map[string]any:
		for id, address := range v {
			(*b)[id] = fmt.Sprint(address)
		}
	default:
		return fmt.Errorf("%v is not a mapping of resource ids to URLs", v)
	}
	return nil
}
