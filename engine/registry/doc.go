// Package registry owns what a registry, or an image in a file or folder, says
// without being pulled: which references a name stands for (Resolve), which
// platforms a reference offers (Open, Image.Instances), and the manifest and
// config of one of them (Image.Detail).
//
// It reads the configuration that podman reads: registries.conf, certs.d, auth
// files, policy.json (Options.SystemContext).
//
// Words: an index is a manifest list or OCI index; an instance is one image
// manifest, alone or in an index; an attestation is an index entry that
// describes another instance and is no image.
package registry
