//! Compiles our kernels for NVIDIA GPUs, where those are built for: `CUDA_COMPUTE_CAP` names for which.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // One that is new, too.
    println!("cargo::rerun-if-changed=src/gpu/kernels");
    #[cfg(feature = "cuda")]
    kernels();
}

#[cfg(feature = "cuda")]
#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables")]
fn kernels() {
    let ptx = cudaforge::KernelBuilder::new()
        .source_dir("src/gpu/kernels")
        .watch(["src/gpu/kernels"])
        .arg("-std=c++17")
        .arg("-O3")
        .build_ptx();
    let written = ptx.and_then(|ptx| {
        let out = std::env::var("OUT_DIR").expect("cargo says where what is built goes");
        ptx.write(std::path::Path::new(&out).join("kernels.rs"))
    });
    if let Err(error) = written {
        panic!("the kernels in src/gpu/kernels were not compiled: {error}");
    }
}
