package template

import (
	"sort"
	"strings"
)

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

// apply evaluates the lambda with its variables set.
func (l *lambda) apply(values ...any) (any, error) {
	if err := l.scope.budget.spend(scopeSteps + len(l.names) + len(l.scope.locals)); err != nil {
		return nil, err
	}
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
	if err := s.budget.array(len(a)); err != nil {
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
	if err := s.budget.array(2 * len(a)); err != nil { // as it grows
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
	if err := s.budget.array(len(a)); err != nil {
		return nil, err
	}
	out := append([]any{}, a...)
	sort.SliceStable(out, func(i, j int) bool {
		if err != nil {
			return false
		}
		var v any
		v, err = l.apply(out[i], out[j])
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
	if err := s.budget.object(len(a)); err != nil {
		return nil, err
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
		name, err := s.budget.text(k)
		if err != nil {
			return nil, err
		}
		out[name] = value
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
	if err := s.budget.object(len(o)); err != nil {
		return nil, err
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
		name, err := s.budget.text(k)
		if err != nil {
			return nil, err
		}
		if err := s.budget.allot(memberBytes + 2*slotBytes); err != nil {
			return nil, err
		}
		group, _ := out[name].([]any)
		out[name] = append(group, item)
	}
	return out, nil
}
