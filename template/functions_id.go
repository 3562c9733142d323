package template

import (
	"fmt"
	"strings"
)

var idFunctions = map[string]function{
	"extensionresourceid": {3, -1, func(args []any) (any, error) {
		scope, err := wantText(args[0])
		if err != nil {
			return nil, err
		}
		rest, err := typedID(args[1:])
		return strings.TrimRight(scope, "/") + rest, err
	}},
	"tenantresourceid": {2, -1, func(args []any) (any, error) { return typedID(args) }},
}

// typedID builds /providers/Namespace/type/name/… of a full type and its names.
func typedID(args []any) (string, error) {
	full, err := wantText(args[0])
	if err != nil {
		return "", err
	}
	segments := strings.Split(full, "/")
	if len(segments) < 2 || len(segments)-1 != len(args)-1 {
		return "", fmt.Errorf("the type '%s' has %d segments behind its namespace, and %d names are given", full, len(segments)-1, len(args)-1)
	}
	var b strings.Builder
	b.WriteString("/providers/" + segments[0])
	for i, s := range segments[1:] {
		name, err := wantText(args[i+1])
		if err != nil {
			return "", err
		}
		b.WriteString("/" + s + "/" + name)
	}
	return b.String(), nil
}

// splitIDArguments separates the scope in front (subscription, group) from the
// type and names of resourceId.
func splitIDArguments(args []any) (scope []string, rest []any, err error) {
	for i, arg := range args {
		s, err := wantText(arg)
		if err != nil {
			return nil, nil, err
		}
		if strings.Contains(s, "/") && strings.Count(s, "/") == len(args)-i-1 {
			return scope, args[i:], nil
		}
		if i == 2 {
			break
		}
		scope = append(scope, s)
	}
	return nil, nil, fmt.Errorf("it needs a type such as Microsoft.EventGrid/topics and a name for each segment behind its namespace")
}
