// Package resource holds the vocabulary of the management plane: Azure
// Resource Manager ids, the envelope every resource has, and the identity of
// one incarnation of a resource.
//
// It knows no transport and no storage. Ids compare without regard to case,
// as Azure's do; [ID.Key] is the form to compare and index by, [ID.String]
// keeps the casing a resource was created with.
package resource
