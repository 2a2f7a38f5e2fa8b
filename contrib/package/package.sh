#!/bin/bash
# Builds the packages into dist/: package.sh BINARY. The Makefile sets VERSION,
# and calls it as `make package`. The same commit, compiler and C library give
# the same bytes: times are those of the commit (SOURCE_DATE_EPOCH).
set -euo pipefail
binary=$1
nfpm_version=v2.45.2 cyclonedx_version=v1.9.0
bin=$(go env GOPATH)/bin

tool() { # tool NAME MODULE VERSION: installs it unless that version is here
	[ "$(go version -m "$bin/$1" 2>/dev/null | awk '$1 == "mod" {print $3}')" = "$3" ] || GOFLAGS='' go install "$2@$3"
}
tool nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm $nfpm_version
tool cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod $cyclonedx_version

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export PACKAGE_ARCH PACKAGE_VERSION=$VERSION
PACKAGE_ARCH=$(go env GOARCH)
time=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# The list of what is in the program, read from the program. Its time and serial
# number, which change with each run, are taken out.
"$bin/cyclonedx-gomod" bin -json -noserial -version "$VERSION" "$binary" |
	jq --arg time "$time" '.metadata.timestamp = $time' > dist/mpull.cdx.json

for kind in deb rpm; do
	"$bin/nfpm" package -f contrib/package/nfpm.yaml -p $kind -t dist/
done

# The tarball has the same files under one folder.
name=mpull-$VERSION-linux-$PACKAGE_ARCH
rm -rf "dist/$name" && mkdir -p "dist/$name"
cp -r dist/root/usr/. "dist/$name/"
cp -r LICENSE README.md CHANGELOG.md dist/mpull.cdx.json contrib/config contrib/fleet "dist/$name/"
rm -rf "dist/$name/fleet/validate"
tar -C dist --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - "$name" |
	gzip -n9 > "dist/$name.tar.gz"
rm -rf "dist/$name" dist/root
(cd dist && sha256sum -- *.deb *.rpm *.tar.gz *.cdx.json > SHA256SUMS && cat SHA256SUMS)
