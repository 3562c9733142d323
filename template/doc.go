// Package template reads ARM templates and deploys them: JSON documents that
// say which resources shall exist, with expressions in between.
//
//	ReadRequest  the body of a deployment request, with the template in it
//	Parse        JSON (with comments) → Template; syntax errors name their line
//	Template     parameters, variables, functions, resources, outputs
//	Deploy       expands copies and conditions, orders the resources by what
//	             they depend on, evaluates each and hands it to a [Host]
//
// An expression is evaluated when the resource that holds it is deployed, so
// that reference and the list functions see what was deployed before. Variables
// are evaluated at first use.
//
// A host may leave values unknown, to try a template without making anything:
// whatever is computed of them is unknown as well.
//
// A deployment has a budget, in steps and in bytes, that it shares with those
// nested in it. Every function of the language pays out of it before it works, and
// every step looks whether anybody still waits. So a small template cannot cost
// much, whatever is in it.
//
// Values of secure parameters are in no result. They can appear in messages,
// which go through [Result.Redact] before anybody else sees them.
//
// Every error is an [*Error], or several as [Errors], that names the place in the template, such as
// resources[2].properties.filter, with its line.
//
// The package does not know how resources are made, stored or authorized: that
// is the host's part, which acts on behalf of whoever deploys.
package template
