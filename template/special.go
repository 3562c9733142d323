package template

import (
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"
)

// specialFunction finds a function that sees more than the values of its
// arguments: it leaves some unevaluated, or looks at the scope. The names are in
// lower case.
func specialFunction(name string) func(*scope, *call) (any, error) { //nolint:cyclop // a table; a variable would be initialised by what looks into it
	switch name {
	case "if":
		return ifFunction
	case "and":
		return all(false)
	case "or":
		return all(true)
	case "coalesce":
		return coalesce
	case "parameters":
		return parameter
	case "variables":
		return variable
	case "copyindex":
		return copyIndex
	case "lambda":
		return lambdaFunction
	case "lambdavariables":
		return lambdaVariable
	case "map":
		return mapFunction
	case "filter":
		return filterFunction
	case "reduce":
		return reduceFunction
	case "sort":
		return sortFunction
	case "toobject":
		return toObject
	case "mapvalues":
		return mapValues
	case "groupby":
		return groupBy
	case "resourceid":
		return resourceID
	case "subscriptionresourceid":
		return subscriptionResourceID
	case "reference":
		return reference
	case "resourcegroup":
		return resourceGroup
	case "subscription", "tenant", "deployer", "environment":
		return func(s *scope, c *call) (any, error) { return s.around(c, c.name) }
	case "deployment":
		return deployment
	case "newguid":
		return func(*scope, *call) (any, error) { return uuid.NewString(), nil }
	case "utcnow":
		return utcNow
	}
	return nil
}

// arguments evaluates all arguments of a call that must have between least and
// most of them.
func (c *call) arguments(s *scope, least, most int) ([]any, error) {
	if len(c.args) < least || len(c.args) > most {
		return nil, errorf("The function '%s' takes %s; it was called with %d.", c.spelled, function{least: least, most: most}.arity(), len(c.args))
	}
	return c.values(s)
}

func (c *call) fail(err error) error {
	if _, ok := err.(*Error); ok || err == nil { //nolint:errorlint // ours are never wrapped in between
		return err
	}
	return errorf("The function '%s': %s.", c.spelled, strings.TrimSuffix(err.Error(), "."))
}

func ifFunction(s *scope, c *call) (any, error) {
	if len(c.args) != 3 {
		return nil, errorf("The function 'if' takes 3 arguments; it was called with %d.", len(c.args))
	}
	v, err := c.args[0].eval(s)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(unknown); ok {
		return v, nil
	}
	b, err := wantBool(v)
	if err != nil {
		return nil, c.fail(err)
	}
	if b {
		return c.args[1].eval(s)
	}
	return c.args[2].eval(s)
}

// all returns the function "and" (until false) or "or" (until true). Both stop
// at the first argument that decides.
func all(until bool) func(*scope, *call) (any, error) {
	return func(s *scope, c *call) (any, error) {
		for _, arg := range c.args {
			v, err := arg.eval(s)
			if err != nil {
				return nil, err
			}
			if _, ok := v.(unknown); ok {
				return v, nil
			}
			b, err := wantBool(v)
			if err != nil {
				return nil, c.fail(err)
			}
			if b == until {
				return until, nil
			}
		}
		return !until, nil
	}
}

func coalesce(s *scope, c *call) (any, error) {
	for _, arg := range c.args {
		v, err := arg.eval(s)
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

func (c *call) oneName(s *scope) (string, error) {
	args, err := c.arguments(s, 1, 1)
	if err != nil {
		return "", err
	}
	name, err := wantText(args[0])
	return name, c.fail(err)
}

func parameter(s *scope, c *call) (any, error) {
	name, err := c.oneName(s)
	if err != nil {
		return nil, err
	}
	if v, ok := s.locals["$"+strings.ToLower(name)]; ok { // of a function of the template's own
		return v, nil
	}
	v, ok := s.parameters[strings.ToLower(name)]
	if !ok {
		return nil, errorf("The template has no parameter '%s'.", name)
	}
	return v, nil
}

func variable(s *scope, c *call) (any, error) {
	name, err := c.oneName(s)
	if err != nil {
		return nil, err
	}
	return s.variable(name)
}

func copyIndex(s *scope, c *call) (any, error) {
	args, err := c.arguments(s, 0, 2)
	if err != nil {
		return nil, err
	}
	name, offset := "", int64(0)
	if len(args) > 0 {
		if t, ok := args[0].(string); ok {
			name, args = strings.ToLower(t), args[1:]
		}
	}
	if len(args) > 0 {
		if offset, err = wantInt(args[0]); err != nil {
			return nil, c.fail(err)
		}
	}
	for _, l := range slices.Backward(s.loops) {
		if name == "" || l.name == name {
			return l.index + offset, nil
		}
	}
	return nil, errorf("copyIndex stands outside of the copy loop '%s'.", name)
}

// lambda is a function that an expression passes to another one.
type lambda struct {
	scope *scope
	names []string
	body  expression
}

func lambdaFunction(s *scope, c *call) (any, error) {
	if len(c.args) == 0 {
		return nil, errorf("The function 'lambda' needs an expression.")
	}
	l := &lambda{scope: s, body: c.args[len(c.args)-1]}
	for _, arg := range c.args[:len(c.args)-1] {
		v, err := arg.eval(s)
		if err != nil {
			return nil, err
		}
		name, err := wantText(v)
		if err != nil {
			return nil, c.fail(err)
		}
		l.names = append(l.names, name)
	}
	return l, nil
}

func (l *lambda) apply(values ...any) (any, error) {
	return l.body.eval(l.scope.with(l.names, values...))
}

func lambdaVariable(s *scope, c *call) (any, error) {
	name, err := c.oneName(s)
	if err != nil {
		return nil, err
	}
	v, ok := s.locals[strings.ToLower(name)]
	if !ok {
		return nil, errorf("No lambda around has the variable '%s'.", name)
	}
	return v, nil
}

// arrayAndLambda evaluates the arguments of the functions that apply a lambda to
// the elements of an array; the lambda is the last argument.
func (c *call) arrayAndLambda(s *scope, args int) ([]any, []any, *lambda, error) {
	v, err := c.arguments(s, args, args)
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := wantArray(v[0])
	if err != nil {
		return nil, nil, nil, c.fail(err)
	}
	l, ok := v[len(v)-1].(*lambda)
	if !ok {
		return nil, nil, nil, errorf("The function '%s' needs a lambda, not %s.", c.spelled, typeName(v[len(v)-1]))
	}
	return v, a, l, nil
}

func mapFunction(s *scope, c *call) (any, error) {
	_, a, l, err := c.arrayAndLambda(s, 2)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(a))
	for i := range a {
		if out[i], err = l.apply(a[i], int64(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func filterFunction(s *scope, c *call) (any, error) {
	_, a, l, err := c.arrayAndLambda(s, 2)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for i := range a {
		v, err := l.apply(a[i], int64(i))
		if err != nil {
			return nil, err
		}
		keep, err := wantBool(v)
		if err != nil {
			return nil, c.fail(err)
		}
		if keep {
			out = append(out, a[i])
		}
	}
	return out, nil
}

func reduceFunction(s *scope, c *call) (any, error) {
	v, a, l, err := c.arrayAndLambda(s, 3)
	if err != nil {
		return nil, err
	}
	sum := v[1]
	for i := range a {
		if sum, err = l.apply(sum, a[i], int64(i)); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func sortFunction(s *scope, c *call) (any, error) {
	_, a, l, err := c.arrayAndLambda(s, 2)
	if err != nil {
		return nil, err
	}
	out := append([]any{}, a...)
	sort.SliceStable(out, func(i, j int) bool {
		v, lerr := l.apply(out[i], out[j])
		if lerr != nil && err == nil {
			err = lerr
		}
		return v == true
	})
	return out, err
}

func toObject(s *scope, c *call) (any, error) {
	v, err := c.arguments(s, 2, 3)
	if err != nil {
		return nil, err
	}
	a, err := wantArray(v[0])
	if err != nil {
		return nil, c.fail(err)
	}
	out := make(map[string]any, len(a))
	for _, item := range a {
		value := item
		keyOf, ok := v[1].(*lambda)
		if !ok {
			return nil, errorf("The function 'toObject' needs a lambda, not %s.", typeName(v[1]))
		}
		k, err := keyOf.apply(item)
		if err != nil {
			return nil, err
		}
		if len(v) == 3 {
			valueOf, ok := v[2].(*lambda)
			if !ok {
				return nil, errorf("The function 'toObject' needs a lambda, not %s.", typeName(v[2]))
			}
			if value, err = valueOf.apply(item); err != nil {
				return nil, err
			}
		}
		out[textOf(k)] = value
	}
	return out, nil
}

func mapValues(s *scope, c *call) (any, error) {
	v, err := c.arguments(s, 2, 2)
	if err != nil {
		return nil, err
	}
	o, err := wantObject(v[0])
	if err != nil {
		return nil, c.fail(err)
	}
	l, ok := v[1].(*lambda)
	if !ok {
		return nil, errorf("The function 'mapValues' needs a lambda, not %s.", typeName(v[1]))
	}
	out := make(map[string]any, len(o))
	for k := range o {
		if out[k], err = l.apply(o[k]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func groupBy(s *scope, c *call) (any, error) {
	_, a, l, err := c.arrayAndLambda(s, 2)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for _, item := range a {
		k, err := l.apply(item)
		if err != nil {
			return nil, err
		}
		group, _ := out[textOf(k)].([]any)
		out[textOf(k)] = append(group, item)
	}
	return out, nil
}
