# Toolchain: Debian's cross compiler and, in the folder CMAKE_SYSROOT, the arm64 packages of every dependency
# (tests/e2e/arm64.sh makes one). With qemu-user-static installed ctest runs the arm64 tests under it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
if(NOT IS_DIRECTORY "${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu")
  message(FATAL_ERROR "CMAKE_SYSROOT: expected a folder of arm64 packages, got \"${CMAKE_SYSROOT}\"; "
                      "tests/e2e/arm64.sh makes one")
endif()

# Libraries and headers are those of the sysroot, programs those of this machine.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)

find_program(ATTUNE_QEMU qemu-aarch64-static)
if(ATTUNE_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${ATTUNE_QEMU} -L ${CMAKE_SYSROOT})
endif()
