"""TFX's components on the KFP DSL: typed artifacts in and out, a thin body that calls one step of `lesiongan`."""
