/** Names of connectors and of the packages that bring them. */

/** Of connectors in job files; the package is `weir-connector-<name>`. */
export const connectorNamePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Of the packages of connectors. */
export const PACKAGE_PREFIX = 'weir-connector-';
